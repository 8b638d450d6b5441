"""Resizing as calls of kernels: images that lie channels last."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, is_channels_last
from mocha.graph import Node
from mocha.ops import Gradient, Op, ResizeBilinear, UpsampleNearest


def _resize(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, (ResizeBilinear, UpsampleNearest))
        (before,), (after,) = node.inputs, node.outputs
        if not all(is_channels_last(value, layouts) for value in (before, after)):
            return None
        x, y = (after, before) if isinstance(node.op, Gradient) else (before, after)
        n, channels, height, width = x.shape
        return [Call(kernel, (before,), (after,), (n, height, width, channels, *y.shape[2:]))]

    return lower


FORWARD: dict[type[Op], Lowering] = {
    ResizeBilinear: _resize("resize_bilinear_forward"),
    UpsampleNearest: _resize("upsample_nearest_forward"),
}
BACKWARD: dict[type[Op], Lowering] = {
    ResizeBilinear: _resize("resize_bilinear_backward"),
    UpsampleNearest: _resize("upsample_nearest_backward"),
}
