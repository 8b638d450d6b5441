"""Local response normalisation as calls of kernels: images that lie channels last."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, is_channels_last
from mocha.graph import Node
from mocha.ops import LRN, Op


def _lrn(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, LRN)
        if not all(is_channels_last(value, layouts) for value in (*node.inputs, *node.outputs)):
            return None
        n, channels, height, width = node.inputs[0].shape
        reals = (op.k, op.alpha / op.count, op.beta, 2 * op.alpha * op.beta / op.count)
        ints = (n, height, width, channels, op.size, int(op.across))
        return [Call(kernel, node.inputs, node.outputs, ints, reals)]

    return lower


FORWARD: dict[type[Op], Lowering] = {LRN: _lrn("lrn_forward")}
BACKWARD: dict[type[Op], Lowering] = {LRN: _lrn("lrn_backward")}
