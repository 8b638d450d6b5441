"""Rows taken by number or chosen by a mark, as calls of kernels."""

from __future__ import annotations

import math

from mocha.backends.lowering.calls import Call, Layouts, Lowering
from mocha.backends.lowering.loss import label_type, turned
from mocha.graph import Node
from mocha.ops import Gradient, Op, SelectRows, TakeRows, Unpool


def _rows(kernel: str) -> Lowering:
    """Forward of (x, numbers), or backward of (numbers, dy)."""

    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, (TakeRows, SelectRows))
        backward = isinstance(node.op, Gradient)
        x, numbers = (node.outputs[0], node.inputs[0]) if backward else node.inputs
        kind = label_type(numbers, x)
        if kind is None or turned(node, layouts):
            return None
        rows, width = x.shape[0], math.prod(x.shape[1:])
        counts = (numbers.spec.size, rows) if isinstance(op, TakeRows) else (rows, op.count)
        return [Call(kernel, node.inputs, node.outputs, (*counts, width, kind))]

    return lower


def _unpool(kernel: str) -> Lowering:
    """Forward of (x, places), or backward of (places, dy)."""

    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, Unpool)
        backward = isinstance(node.op, Gradient)
        x, places = (node.outputs[0], node.inputs[0]) if backward else node.inputs
        kind = label_type(places, x)
        if kind is None or turned(node, layouts):
            return None
        n, channels, *size = x.shape
        return [Call(kernel, node.inputs, node.outputs, (n * channels, math.prod(size), op.height * op.width, kind))]

    return lower


FORWARD: dict[type[Op], Lowering] = {
    Unpool: _unpool("unpool_forward"),
    TakeRows: _rows("take_rows_forward"),
    SelectRows: _rows("select_rows_forward"),
}
BACKWARD: dict[type[Op], Lowering] = {
    Unpool: _unpool("unpool_backward"),
    TakeRows: _rows("take_rows_backward"),
    SelectRows: _rows("select_rows_backward"),
}
