"""Dropout as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, is_channels_last
from mocha.graph import Node
from mocha.ops import Dropout, Op


def _dropout(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, Dropout)
    if any(is_channels_last(value, layouts) for value in (*node.inputs, *node.outputs)):
        return None  # the random words are counted in row-major order
    threshold = min(round(op.ratio * 2**32), 2**32 - 1)
    ints = (node.inputs[0].spec.size, threshold, op.stream)
    return [Call("dropout_forward", node.inputs, node.outputs, ints, (op.scale,))]


def _dropout_back(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, Dropout)
    return [Call("dropout_backward", node.inputs, node.outputs, (node.outputs[0].spec.size,), (op.scale,))]


FORWARD: dict[type[Op], Lowering] = {Dropout: _dropout}
BACKWARD: dict[type[Op], Lowering] = {Dropout: _dropout_back}
