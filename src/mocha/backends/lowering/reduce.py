"""Reductions as calls of kernels: the axes joined into as few as possible, kept and reduced ones in turn."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, is_channels_last
from mocha.graph import Node
from mocha.ops import Gradient, Op, ReduceMean, ReduceSum, ReduceSumOfSquares, Shape

_MAX_AXES = 8
"""What the kernels can walk over."""


def _joined_axes(shape: Shape, axes: Shape) -> tuple[int, ...] | None:
    """The number of joined axes, then extent and whether reduced of each; None if there are too many."""
    gone = {axis % len(shape) for axis in axes} if axes else set(range(len(shape)))
    joined: list[list[int]] = []
    for axis, extent in enumerate(shape):
        if extent == 1:
            continue
        if joined and joined[-1][1] == int(axis in gone):
            joined[-1][0] *= extent
        else:
            joined.append([extent, int(axis in gone)])
    joined = joined or [[1, 1]]
    return None if len(joined) > _MAX_AXES else (len(joined), *(number for axis in joined for number in axis))


def _reduce(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, (ReduceSum, ReduceMean, ReduceSumOfSquares))
        whole = node.op.inputs[0] if isinstance(node.op, Gradient) else node.inputs[0].spec
        ints = _joined_axes(whole.shape, op.axes)
        if ints is None or any(is_channels_last(v, layouts) for v in (*node.inputs, *node.outputs)):
            return None
        return [Call(kernel, node.inputs, node.outputs, ints)]

    return lower


FORWARD: dict[type[Op], Lowering] = {
    ReduceSum: _reduce("reduce_sum"),
    ReduceMean: _reduce("reduce_mean"),
    ReduceSumOfSquares: _reduce("reduce_squares"),
}
BACKWARD: dict[type[Op], Lowering] = {
    ReduceSum: _reduce("reduce_sum_backward"),
    ReduceMean: _reduce("reduce_mean_backward"),
    ReduceSumOfSquares: _reduce("reduce_squares_backward"),
}
