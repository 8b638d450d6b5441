"""Class numbers as calls of kernels."""

from __future__ import annotations

from mocha.backends.native.calls import Call, Layouts, Lowering, around_axis
from mocha.graph import Node
from mocha.ops import Argmax, OneHot, Op


def _argmax(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(op, Argmax)
    return [Call("argmax", node.inputs, node.outputs, around_axis(node.inputs[0], op.axis, layouts))]


def _one_hot(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(op, OneHot)
    return [Call("one_hot", node.inputs, node.outputs, around_axis(node.outputs[0], op.axis, layouts))]


FORWARD: dict[type[Op], Lowering] = {Argmax: _argmax, OneHot: _one_hot}
BACKWARD: dict[type[Op], Lowering] = {}
