"""A net in print and in notebooks: its layers, their blobs and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocha.graph import Graph, Phase
from mocha.graph.listing import shape_text, table
from mocha.layers import Layer
from mocha.layers.facts import neuron_of
from mocha.net.picture import net_picture, numbers_kept
from mocha.visual import page

if TYPE_CHECKING:
    from mocha.net.net import Net


_HEAD = ("layer", "type", "from", "to", "parameters", "count")
_COUNT = 5
"""The column with numbers."""
_FEW = 40
"""Layers that are shown unfolded."""


def describe(net: Net) -> str:
    """The totals, and a row a layer below."""
    return f"{_summary(net)}\n{table(_HEAD, _rows(net), right=(_COUNT,))}"


def element(net: Net) -> str:
    """The same as an element of a page, with a picture of the net if it can be had."""
    rows = page.table(_HEAD, _rows(net), right=(_COUNT,))
    return page.card(
        _summary(net), page.details("layers", rows, opened=len(net.layers) <= _FEW), page.net_element(net_picture(net))
    )


def _rows(net: Net) -> list[tuple[str, ...]]:
    graph = net.lower(Phase.TRAIN)
    shown: set[str] = set()
    rows: list[tuple[str, ...]] = []
    for layer in net.layers:
        own = net.parameters_by_layer().get(layer.name, ())
        count = sum(p.about.spec.size for p in own if p.about.learned)
        told = ", ".join(f"{p.about.name} {shape_text(p.about.spec.shape)}" for p in own)
        if own and own[0].key in shown:
            told, count = f"shared: {told}", 0
        shown.update(p.key for p in own)
        neuron = neuron_of(layer)
        title = (
            layer.tell()[0] + (f" + {neuron}" if neuron else "") + (" (frozen)" if net.is_frozen(layer.name) else "")
        )
        rows.append(
            (layer.name, title, _blobs(graph, layer.bottoms), _tops(graph, layer), told, f"{count:,}" if count else "")
        )
    return rows


def _summary(net: Net) -> str:
    data = [
        f"{'endless data' if feed.source.endless else f'{feed.source.examples:,} examples'} in {name!r}"
        for name, feed in net.feeds.items()
    ]
    return (
        f"net {net.name!r} on the {net.backend.name} backend: {len(net.layers)} layers, "
        f"{numbers_kept(net.parameters)}{''.join(', ' + text for text in data)}"
    )


def _blobs(graph: Graph, names: object) -> str:
    listed = names if isinstance(names, (list, tuple)) else ()
    return ", ".join(f"{name} {shape_text(graph.blobs[name].shape)}" for name in listed)


def _tops(graph: Graph, layer: Layer) -> str:
    return "in place" if layer.in_place else _blobs(graph, layer.tops)
