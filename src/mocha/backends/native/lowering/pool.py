"""Pooling as calls of kernels: images that lie channels last. The reference does one and three axes."""

from __future__ import annotations

from mocha.backends.native.calls import Call, Layouts, Lowering, is_channels_last
from mocha.graph import Node
from mocha.ops import Gradient, MaxPooling, MeanPooling, Op, Spec


def _pool(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, (MaxPooling, MeanPooling))
        if not all(is_channels_last(value, layouts) for value in (*node.inputs, *node.outputs)):
            return None
        if isinstance(node.op, Gradient):
            x, outputs = node.op.inputs[0], node.op.outputs
        else:
            x, outputs = node.inputs[0].spec, tuple(value.spec for value in node.outputs)
        return [Call(kernel, node.inputs, node.outputs, _geometry(op, x, outputs))]

    return lower


def _geometry(op: MaxPooling | MeanPooling, x: Spec, outputs: tuple[Spec, ...]) -> tuple[int, ...]:
    """N H W C, out H W, kernel, stride, pad, bytes of a winner."""
    n, channels, *size = x.shape
    return (n, *size, channels, *outputs[0].shape[2:], *op.kernel, *op.stride, *op.pad, outputs[-1].dtype.itemsize)


FORWARD: dict[type[Op], Lowering] = {
    MaxPooling: _pool("max_pool_forward"),
    MeanPooling: _pool("mean_pool_forward"),
}
BACKWARD: dict[type[Op], Lowering] = {
    MaxPooling: _pool("max_pool_backward"),
    MeanPooling: _pool("mean_pool_backward"),
}
