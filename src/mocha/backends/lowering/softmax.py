"""Softmax as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis
from mocha.graph import Node
from mocha.ops import Op, Softmax


def _softmax(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call]:
        assert isinstance(op, Softmax)
        return [Call(kernel, node.inputs, node.outputs, around_axis(node.outputs[0], op.axis, layouts))]

    return lower


FORWARD: dict[type[Op], Lowering] = {Softmax: _softmax("softmax_forward")}
BACKWARD: dict[type[Op], Lowering] = {Softmax: _softmax("softmax_backward")}
