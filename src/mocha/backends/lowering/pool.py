"""Pooling as calls of kernels: images that lie channels last.

Those of one axis come as images of a single row; the reference does those of three axes.
"""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, is_channels_last
from mocha.graph import Node
from mocha.ops import Gradient, MaxPooling, MeanPooling, Op, Shape, Spec, WinnerPlaces


def geometry(x: Spec, outputs: tuple[Spec, ...], kernel: Shape, stride: Shape, pad: Shape) -> tuple[int, ...]:
    """N H W C, out H W, kernel, stride, pad, bytes of a winner, as `mocha/windows.h` reads them."""
    n, channels, *size = x.shape
    return (n, *size, channels, *outputs[0].shape[2:], *kernel, *stride, *pad, outputs[-1].dtype.itemsize)


def _pool(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, (MaxPooling, MeanPooling))
        if len(op.kernel) != 2 or not _lies_well(node, layouts):
            return None
        if isinstance(node.op, Gradient):
            x, outputs = node.op.inputs[0], node.op.outputs
        else:
            x, outputs = node.inputs[0].spec, tuple(value.spec for value in node.outputs)
        return [Call(kernel, node.inputs, node.outputs, geometry(x, outputs, op.kernel, op.stride, op.pad))]

    return lower


def _lies_well(node: Node, layouts: Layouts) -> bool:
    return all(is_channels_last(value, layouts) for value in (*node.inputs, *node.outputs))


def _places(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, WinnerPlaces)
    if len(op.pooling.kernel) != 2 or not _lies_well(node, layouts):
        return None
    x, winners = node.inputs
    pooling = op.pooling
    ints = geometry(x.spec, (winners.spec,), pooling.kernel, pooling.stride, pooling.pad)
    return [Call("winner_places", (winners,), node.outputs, ints)]


FORWARD: dict[type[Op], Lowering] = {
    MaxPooling: _pool("max_pool_forward"),
    MeanPooling: _pool("mean_pool_forward"),
    WinnerPlaces: _places,
}
BACKWARD: dict[type[Op], Lowering] = {
    MaxPooling: _pool("max_pool_backward"),
    MeanPooling: _pool("mean_pool_backward"),
}
