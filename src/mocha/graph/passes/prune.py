"""Pruning: what leads to nothing that anybody wants is not computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mocha.graph.graph import Node, Value


def prune(nodes: Sequence[Node], wanted: Iterable[Value]) -> list[Node]:
    """The nodes that the wanted values depend on, and those that overwrite a stored value, in the same order."""
    live = set(wanted)
    kept: list[Node] = []
    for node in reversed(nodes):
        if node.op.updates or any(out in live for out in node.outputs):
            live.update(node.inputs)
            kept.append(node)
    return kept[::-1]
