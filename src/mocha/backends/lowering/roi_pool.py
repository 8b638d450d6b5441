"""Pooling of regions as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, is_channels_last
from mocha.graph import Node
from mocha.ops import Gradient, Op, RoiPooling


def _pool(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, RoiPooling)
        if any(is_channels_last(value, layouts) for value in (*node.inputs, *node.outputs)):
            return None
        specs = node.op.inputs if isinstance(node.op, Gradient) else tuple(value.spec for value in node.inputs)
        x, regions = specs
        ints = (*x.shape, regions.shape[0], op.pooled_h, op.pooled_w)
        return [Call(kernel, node.inputs, node.outputs, ints, (op.spatial_scale,))]

    return lower


FORWARD: dict[type[Op], Lowering] = {RoiPooling: _pool("roi_pool_forward")}
BACKWARD: dict[type[Op], Lowering] = {RoiPooling: _pool("roi_pool_backward")}
