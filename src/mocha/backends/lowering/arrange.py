"""Elements moved to other places, as calls of kernels."""

from __future__ import annotations

import math

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis, is_channels_last
from mocha.backends.lowering.pointwise import copied
from mocha.backends.lowering.shape import covered
from mocha.graph import Node
from mocha.ops import Gradient, Op, Shape, Tile, Transpose, Window


def _tile(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, Tile)
        if not covered(node, layouts):
            return None
        x = node.outputs[0] if isinstance(node.op, Gradient) else node.inputs[0]
        outer, extent, inner = around_axis(x, op.axis, layouts)
        return [Call(kernel, node.inputs, node.outputs, (outer, extent * inner, op.tiles))]

    return lower


def _joined_box(shape: Shape, starts: Shape, sizes: Shape) -> tuple[int, ...]:
    """The number of axes, then extent, start and size of each; an axis that is there wholly joins the one before."""
    joined: list[list[int]] = []
    for extent, start, size in zip(shape, starts, sizes, strict=True):
        if joined and size == extent:
            joined[-1] = [number * extent for number in joined[-1]]
        else:
            joined.append([extent, start, size])
    joined = joined or [[1, 0, 1]]
    return (len(joined), *(number for axis in joined for number in axis))


def _window(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, Window)
        if not covered(node, layouts):
            return None
        x = node.outputs[0] if isinstance(node.op, Gradient) else node.inputs[0]
        order = (0, 2, 3, 1) if is_channels_last(x, layouts) else range(len(x.shape))
        lying = (tuple(numbers[axis] for axis in order) for numbers in (x.shape, op.starts, op.sizes))
        return [Call(kernel, node.inputs, node.outputs, _joined_box(*lying))]

    return lower


def _transpose(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """Matrices, one behind the other, have a kernel of their own."""
    assert isinstance(op, Transpose)
    x, y = node.inputs[0], node.outputs[0]
    if not covered(node, layouts) or is_channels_last(x, layouts):
        return None
    moved = Transpose(op.back) if isinstance(node.op, Gradient) else op
    extents, order = moved.joined(x.shape)
    if len(order) < 2 or x.spec.size == 0:
        return [copied(x, y)]
    if order in ((1, 0), (0, 2, 1)):
        return [Call("turn", (x,), (y,), (1, *extents) if len(order) == 2 else extents)]
    apart = (number for axis in order for number in (extents[axis], math.prod(extents[axis + 1 :])))
    return [Call("transpose_axes", (x,), (y,), (len(order), *apart))]


FORWARD: dict[type[Op], Lowering] = {
    Tile: _tile("tile_forward"),
    Window: _window("window_forward"),
    Transpose: _transpose,
}
BACKWARD: dict[type[Op], Lowering] = {
    Tile: _tile("tile_backward"),
    Window: _window("window_backward"),
    Transpose: _transpose,
}
