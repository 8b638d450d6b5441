"""Pictures of nets, by Graphviz: layers are boxes, blobs are eight-sided, arrows lead from bottoms to tops.

The description of the picture, in Graphviz's own language, needs nothing. To make an image of it, the program ``dot``
must be there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from mocha.caffe.facts import sizes
from mocha.caffe.proto import caffe_pb2
from mocha.visual.graphviz import check_direction, quoted, render, write_graph

_COLORS = {"Convolution": "#FF5050", "Deconvolution": "#FF5050", "Pooling": "#FF9900", "InnerProduct": "#CC33FF"}
_OTHER = "#6495ED"
_NEURON = "#90EE90"


def net_to_dot(caffe_net: Any, rankdir: str = "LR", phase: int | None = None, display_lrm: bool = False) -> str:
    """A net in the language of Graphviz.

    Args:
        caffe_net: a `NetParameter`.
        rankdir: where arrows lead: "LR", "RL", "TB" or "BT".
        phase: only the layers of this phase, `TRAIN` or `TEST`; None for all.
        display_lrm: say the rate multipliers of layers that have weights.

    Raises:
        ConfigError: another direction.
    """
    check_direction(rankdir, "rankdir")
    lines = [f"digraph {quoted(caffe_net.name or 'net')} {{", f"  rankdir={rankdir};"]
    blobs: dict[str, None] = {}
    for at, layer in enumerate(caffe_net.layer):
        if phase is None or _belongs(layer, phase):
            lines += _layer_lines(f"layer{at}", layer, rankdir, display_lrm)
            blobs |= dict.fromkeys([*layer.bottom, *layer.top])
    lines += [
        f'  {_blob(name)} [label={quoted(name)}, shape=octagon, fillcolor="#E0E0E0", style=filled];' for name in blobs
    ]
    return "\n".join([*lines, "}"]) + "\n"


def draw_net(
    caffe_net: Any, rankdir: str = "LR", ext: str = "png", phase: int | None = None, display_lrm: bool = False
) -> bytes:
    """A picture of a net.

    Args:
        caffe_net: a `NetParameter`.
        rankdir: as for `net_to_dot`.
        ext: the format: "png", "svg", "pdf" or what else ``dot`` knows; "dot" and "gv" give the description.
        phase: as for `net_to_dot`.
        display_lrm: as for `net_to_dot`.

    Raises:
        ConfigError: another direction, or something that is no format.
        MochaError: the program ``dot`` is not there, or fails.
    """
    return render(net_to_dot(caffe_net, rankdir, phase, display_lrm), ext)


def draw_net_to_file(
    caffe_net: Any,
    filename: str | os.PathLike[str],
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Write a picture of a net to a file; its name says the format, as for `draw_net`.

    Raises:
        ConfigError: as for `draw_net`.
        MochaError: as for `draw_net`.
    """
    write_graph(filename, net_to_dot(caffe_net, rankdir, phase, display_lrm))


def _belongs(layer: Any, phase: int) -> bool:
    """Whether a layer belongs to a phase by what its rules say of phases."""
    included = not layer.include or any(not rule.HasField("phase") or rule.phase == phase for rule in layer.include)
    return included and not any(rule.HasField("phase") and rule.phase == phase for rule in layer.exclude)


def _layer_lines(node: str, layer: Any, rankdir: str, display_lrm: bool) -> Iterator[str]:
    in_place = len(layer.bottom) == 1 and layer.bottom == layer.top
    color = _NEURON if in_place else _COLORS.get(layer.type, _OTHER)
    # Side by side where the picture is tall, one below the other where it is wide.
    label = (" " if rankdir in ("TB", "BT") else "\n").join(_words(layer, display_lrm))
    yield f'  {node} [label={quoted(label)}, shape=record, fillcolor="{color}", style=filled];'
    edge = f" [label={quoted(words)}]" if (words := _edge_words(layer)) else ""
    for name in layer.bottom:
        yield f"  {_blob(name)} -> {node}{edge};"
    for name in layer.top:
        yield f"  {node} -> {_blob(name)};"


def _words(layer: Any, display_lrm: bool) -> Iterator[str]:
    yield layer.name
    if layer.type in ("Convolution", "Deconvolution"):
        given = layer.convolution_param
        yield f"({layer.type})"
        yield f"kernel size: {_sizes(given, 'kernel', 1)}"
        yield f"stride: {_sizes(given, 'stride', 1)}"
        yield f"pad: {_sizes(given, 'pad', 0)}"
    elif layer.type == "Pooling":
        given = layer.pooling_param
        yield f"({caffe_pb2.PoolingParameter.PoolMethod.Name(given.pool)} {layer.type})"
        if given.global_pooling:
            yield "global"
        else:
            yield f"kernel size: {_sizes(given, 'kernel', 1)}"
            yield f"stride: {_sizes(given, 'stride', 1)}"
            yield f"pad: {_sizes(given, 'pad', 0)}"
    else:
        yield f"({layer.type})"
    if display_lrm and layer.type in ("Convolution", "Deconvolution", "InnerProduct"):
        yield "lrm: " + ", ".join(f"{layer.param[at].lr_mult:g}" if at < len(layer.param) else "1" for at in range(2))


def _sizes(given: Any, name: str, default: int) -> str:
    return sizes(given, name, default).replace("x", " x ")


def _edge_words(layer: Any) -> str:
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    return str(layer.inner_product_param.num_output) if layer.type == "InnerProduct" else ""


def _blob(name: str) -> str:
    return quoted(f"blob {name}")
