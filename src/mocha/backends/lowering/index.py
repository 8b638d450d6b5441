"""Class numbers as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis
from mocha.graph import Node
from mocha.ops import Argmax, Gradient, OneHot, Op, TopK


def _argmax(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(op, Argmax)
    return [Call("argmax", node.inputs, node.outputs, around_axis(node.inputs[0], op.axis, layouts))]


def _one_hot(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(op, OneHot)
    return [Call("one_hot", node.inputs, node.outputs, around_axis(node.outputs[0], op.axis, layouts))]


def _top_k(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call]:
        assert isinstance(op, TopK)
        x = node.outputs[0] if isinstance(node.op, Gradient) else node.inputs[0]
        return [Call(kernel, node.inputs, node.outputs, (*around_axis(x, op.axis, layouts), op.k))]

    return lower


FORWARD: dict[type[Op], Lowering] = {Argmax: _argmax, OneHot: _one_hot, TopK: _top_k("top_k_forward")}
BACKWARD: dict[type[Op], Lowering] = {TopK: _top_k("top_k_backward")}
