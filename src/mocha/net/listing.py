"""A net in print: its layers, their blobs and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocha.graph import Graph, Phase
from mocha.graph.listing import memory, shape_text, table
from mocha.layers import Layer
from mocha.layers.facts import neuron_of

if TYPE_CHECKING:
    from mocha.net.net import Net


def describe(net: Net) -> str:
    """One row a layer, totals below."""
    graph = net.lower(Phase.TRAIN)
    shown: set[str] = set()
    rows = []
    for layer in net.layers:
        own = net.parameters_by_layer().get(layer.name, ())
        count = sum(p.about.spec.size for p in own)
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
    total = sum(p.about.spec.size for p in net.parameters)
    size = sum(p.about.spec.nbytes for p in net.parameters)
    data = [
        f"{'endless noise' if feed.source.endless else f'{feed.source.examples:,} examples'} in {name!r}"
        for name, feed in net.feeds.items()
    ]
    head = ("layer", "type", "from", "to", "parameters", "count")
    return (
        f"net {net.name!r} on the {net.backend.name} backend: {len(net.layers)} layers, {total:,} parameters "
        f"({memory(size)}){''.join(', ' + text for text in data)}\n{table(head, rows, right=(5,))}"
    )


def _blobs(graph: Graph, names: object) -> str:
    listed = names if isinstance(names, (list, tuple)) else ()
    return ", ".join(f"{name} {shape_text(graph.blobs[name].shape)}" for name in listed)


def _tops(graph: Graph, layer: Layer) -> str:
    return "in place" if layer.in_place else _blobs(graph, layer.tops)
