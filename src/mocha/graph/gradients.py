"""Gradients by reverse mode: each node's backward, last node first, only where somebody needs the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from mocha.graph.graph import Graph, Node, Section, Value
from mocha.ops import Fill, Gradient, Sum


def derive_gradients(
    graph: Graph, objective: Mapping[Value, float | Value], wrt: Iterable[Value]
) -> dict[Value, Value]:
    """Append to the graph the nodes that compute the gradients of an objective.

    Args:
        graph: the graph; its new nodes are in section BACKWARD.
        objective: values and their weights; the objective is the weighted sum of all their elements. A weight is a
            number, or a value of the same shape with one for each element.
        wrt: the values whose gradients are wanted (parameters, inputs).

    Returns:
        value -> its gradient, for each value of `wrt` that the objective depends on, and for all values between. One
        that the objective does not depend on has no entry: its gradient is zero, and nothing is computed for it.
    """
    needed = _depending(graph.nodes, set(wrt))
    parts: dict[Value, list[Value]] = {}
    with graph.within("", Section.BACKWARD):
        for value, weight in objective.items():
            if value not in needed:
                continue
            if isinstance(weight, Value):
                parts.setdefault(value, []).append(weight)
            else:
                with graph.within(value.producer.layer if value.producer else "", Section.BACKWARD):
                    parts.setdefault(value, []).append(graph(Fill(value.shape, value.dtype.name, weight)))
    joined: dict[Value, Value] = {}

    def gradient_of(value: Value) -> Value | None:
        """All parts of a value's gradient, summed; later users first, which is the order in which they arrive."""
        if value not in joined and value in parts:
            found = parts[value]
            joined[value] = found[0] if len(found) == 1 else graph(Sum(), *found)
            if joined[value].producer is not None:
                joined[value].name = f"d {value.name}"
        return joined.get(value)

    for node in reversed([n for n in graph.nodes if n.section is Section.FORWARD]):
        wanted = _wanted(node, needed)
        if not any(wanted):
            continue
        with graph.within(node.layer, Section.BACKWARD):
            n_main = len(node.outputs) - node.op.n_aux
            grads = [gradient_of(out) for out in node.outputs[:n_main]]
            if not any(grads):
                continue
            # an output that the objective does not depend on (one piece of a slice, say) has the gradient zero
            filled = [
                g if g is not None else graph(Fill(out.shape, out.dtype.name))
                for g, out in zip(grads, node.outputs, strict=False)
            ]
            specs = tuple(v.spec for v in node.inputs), tuple(v.spec for v in node.outputs)
            op = Gradient(node.op, wanted, *specs)
            read_in, read_out = op.saved
            saved = [node.inputs[i] for i in read_in] + [node.outputs[i] for i in read_out]
            results = iter(graph.apply(op, *saved, *filled))
            for value, want in zip(node.inputs, wanted, strict=True):
                if want:
                    parts.setdefault(value, []).append(next(results))
    for value in parts:
        with graph.within(value.name if value.producer is None else value.producer.layer, Section.BACKWARD):
            gradient_of(value)
    return joined


def _depending(nodes: Iterable[Node], roots: set[Value]) -> set[Value]:
    """The roots and all that is computed from them by differentiable ways."""
    needed = set(roots)
    for node in nodes:
        if any(_wanted(node, needed)):
            needed.update(
                out
                for out in node.outputs[: len(node.outputs) - node.op.n_aux]
                if np.issubdtype(out.dtype, np.floating)
            )
    return needed


def _wanted(node: Node, needed: set[Value]) -> tuple[bool, ...]:
    """For each input of the node, whether its gradient is needed and can be had."""
    can = set(node.op.differentiable(len(node.inputs)))
    return tuple(i in can and value in needed for i, value in enumerate(node.inputs))
