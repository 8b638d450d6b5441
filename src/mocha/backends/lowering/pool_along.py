"""The poolings along an axis as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, is_channels_last
from mocha.graph import Node
from mocha.ops import Gradient, MaxPoolingAlong, MeanPoolingAlong, Op


def _pool(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, (MaxPoolingAlong, MeanPoolingAlong))
        if any(is_channels_last(value, layouts) for value in (*node.inputs, *node.outputs)):
            return None
        x = node.op.inputs[0] if isinstance(node.op, Gradient) else node.inputs[0].spec
        outer, extent, inner = op.around(x.shape)
        ints = (outer, extent, inner, op.out(extent), op.kernel, op.stride, op.pad[0])
        return [Call(kernel, node.inputs, node.outputs, ints)]

    return lower


FORWARD: dict[type[Op], Lowering] = {
    MaxPoolingAlong: _pool("max_pool_along_forward"),
    MeanPoolingAlong: _pool("mean_pool_along_forward"),
}
BACKWARD: dict[type[Op], Lowering] = {
    MaxPoolingAlong: _pool("max_pool_along_backward"),
    MeanPoolingAlong: _pool("mean_pool_along_backward"),
}
