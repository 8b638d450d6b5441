"""Normalisation of each row by its own statistics, as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis, is_channels_last
from mocha.graph import Node
from mocha.ops import L2Normalize, Op, Standardize


def _standardize(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, Standardize)
        blob = node.outputs[0]
        if is_channels_last(blob, layouts) and op.axis != 1:
            return None  # a row must lie side by side, as an example does in any layout
        ints = (*op.rows(blob.spec), int(op.scaled))
        return [Call(kernel, node.inputs, node.outputs, ints, (op.eps,))]

    return lower


def _l2_normalize(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call]:
        assert isinstance(op, L2Normalize)
        ints = around_axis(node.outputs[0], op.axis, layouts)
        return [Call(kernel, node.inputs, node.outputs, ints, (op.eps,))]

    return lower


FORWARD: dict[type[Op], Lowering] = {
    Standardize: _standardize("standardize_forward"),
    L2Normalize: _l2_normalize("l2_normalize_forward"),
}
BACKWARD: dict[type[Op], Lowering] = {
    Standardize: _standardize("standardize_backward"),
    L2Normalize: _l2_normalize("l2_normalize_backward"),
}
