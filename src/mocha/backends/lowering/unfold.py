"""Windows written out, as calls of kernels: those of two axes, and of one as images of a single row."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, is_channels_last
from mocha.graph import Node
from mocha.ops import Gradient, Op, Unfold


def _unfold(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, Unfold)
        if len(op.kernel) > 2 or any(is_channels_last(value, layouts) for value in (*node.inputs, *node.outputs)):
            return None
        back = isinstance(node.op, Gradient)
        x, y = (node.outputs[0], node.inputs[0]) if back else (node.inputs[0], node.outputs[0])
        row = 2 - len(op.kernel)
        one, none = (1,) * row, (0,) * row
        moves = (*one, *op.kernel, *one, *op.stride, *none, *op.pad, *one, *op.dilation)
        ints = (*x.shape[:2], *one, *x.shape[2:], *moves, *one, *y.shape[2:])
        return [Call(kernel, node.inputs, node.outputs, ints)]

    return lower


FORWARD: dict[type[Op], Lowering] = {Unfold: _unfold("unfold_forward")}
BACKWARD: dict[type[Op], Lowering] = {Unfold: _unfold("unfold_backward")}
