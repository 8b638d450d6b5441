"""The order of a net's layers, and the mistakes that leave it without one."""

from __future__ import annotations

from collections.abc import Sequence

from mocha.errors import TopologyError, did_you_mean
from mocha.layers import Layer, SourceLayer
from mocha.layers.base import key_of


def sorted_layers(net: str, layers: Sequence[Layer]) -> list[Layer]:
    """The layers in running order.

    In rounds: all layers whose bottoms are there, and the parameters that they borrow, run next, those that work in
    place first, else in the order of the list. So a layer in place acts before every other reader of its blob, and
    several of them in the list's order.

    Args:
        net: the net's name, for messages.
        layers: in any order.

    Raises:
        TopologyError: two layers make the same blob, a blob is missing, or there is a cycle.
    """
    maker: dict[str, Layer] = {}
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TopologyError(f"net {net!r}: {layer!r} is not a layer; expected a list of layers.")
        for top in layer.tops:
            if top in maker:
                raise TopologyError(
                    f"net {net!r}: the blob {top!r} is made by both {maker[top].name!r} and {layer.name!r}; give one "
                    "of them "
                    "another top."
                )
            maker[top] = layer
    for layer in layers:
        for bottom in layer.bottoms:
            if bottom not in maker:
                raise TopologyError(
                    f"net {net!r}: layer {layer.name!r} needs the blob {bottom!r}, which no layer makes. "
                    f"{did_you_mean(bottom, maker)}"
                )
    return _rounds(net, layers)


def checked_layers(net: str, layers: Sequence[Layer]) -> list[Layer]:
    """The layers in the order given.

    Raises:
        TopologyError: a layer's bottom is made by no layer before it.
    """
    there = set[str]()
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TopologyError(f"net {net!r}: {layer!r} is not a layer; expected a list of layers.")
        for bottom in layer.bottoms:
            if bottom not in there:
                raise TopologyError(
                    f"net {net!r}: layer {layer.name!r} needs the blob {bottom!r}, which no layer before it makes. "
                    f"{did_you_mean(bottom, there)}"
                )
        there.update(layer.tops)
    return list(layers)


def _rounds(net: str, layers: Sequence[Layer]) -> list[Layer]:
    waiting, done, there = list(layers), list[Layer](), set[str]()
    while waiting:
        ready = [
            layer for layer in waiting if there.issuperset(layer.bottoms) and not _awaits_loan(layer, waiting, done)
        ]
        if not ready:
            stuck = ", ".join(repr(layer.name) for layer in waiting)
            loans = " (or for parameters that they borrow)" if any(layer.borrows() for layer in waiting) else ""
            raise TopologyError(
                f"net {net!r}: the layers {stuck} wait for each other's blobs in a circle{loans}; break it."
            )
        done += sorted(ready, key=lambda layer: not layer.in_place)
        waiting = [layer for layer in waiting if layer not in ready]
        there.update(top for layer in ready for top in layer.tops)
    return done


def _awaits_loan(layer: Layer, waiting: Sequence[Layer], done: Sequence[Layer]) -> bool:
    """Whether a layer of this net will make parameters that the layer borrows, and none has made them yet."""

    def lends(other: Layer, key: str) -> bool:
        return other is not layer and type(other).parameters is not Layer.parameters and key_of(other) == key

    return any(
        any(lends(other, loan.key) for other in waiting) and not any(lends(other, loan.key) for other in done)
        for loan in layer.borrows()
    )


def check_names(net: str, layers: Sequence[Layer], marked: Sequence[str]) -> None:
    """Names of layers that have parameters, a loss or statistics must be unique: files and records use them.

    Args:
        net: the net's name, for messages.
        layers: all layers.
        marked: the names in question, once for each layer that has them.

    Raises:
        TopologyError: one stands twice.
    """
    for name in marked:
        if sum(layer.name == name for layer in layers) > 1:
            raise TopologyError(
                f"net {net!r}: two layers are named {name!r}; a layer with parameters, a loss or statistics needs a "
                "name of "
                "its own (to share parameters, give both layers the same param_key)."
            )
    sources = [layer.name for layer in layers if isinstance(layer, SourceLayer)]
    if len(set(sources)) != len(sources):
        raise TopologyError(f"net {net!r}: the data layers are named {', '.join(sources)}; expected distinct names.")
