"""Shape ops as calls of kernels. Views are no calls at all: the executor knows whose memory they are."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis, is_channels_last
from mocha.backends.lowering.fused import wanted_gradients
from mocha.backends.lowering.pointwise import copied
from mocha.graph import Node, Value
from mocha.ops import Concat, Fill, Gradient, Identity, Op, Recast, Reorder, Reshape, Slice, StopGradient


def _view(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    return []


def _view_back(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    return [copied(node.inputs[0], node.outputs[0])] if covered(node, layouts) else None


def covered(node: Node, layouts: Layouts) -> bool:
    """Whether all arrays are floating-point, and lie the same way."""
    values = (*node.inputs, *node.outputs)
    lying = {is_channels_last(value, layouts) for value in values}
    return len(lying) == 1 and all(value.dtype in (np.float32, np.float64) for value in values)


def _pieces(whole: Value, axis: int, layouts: Layouts, extents: Iterable[int]) -> list[tuple[int, int]]:
    """Place and width of each piece in a row, in elements; a row is the axis with all that lies behind it."""
    _, _, inner = around_axis(whole, axis, layouts)
    pieces, place = [], 0
    for extent in extents:
        pieces.append((place, extent * inner))
        place += extent * inner
    return pieces


def _joining(kernel: str, node: Node, whole: Value, axis: int, layouts: Layouts, pieces: list[tuple[int, int]]) -> Call:
    outer, extent, inner = around_axis(whole, axis, layouts)
    numbers = (number for piece in pieces for number in piece)
    return Call(kernel, node.inputs, node.outputs, (outer, extent * inner, len(pieces), *numbers))


def _concat(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, (Concat, Slice))
    if not covered(node, layouts):
        return None
    whole = node.outputs[0]
    pieces = _pieces(whole, op.axis, layouts, (v.shape[op.axis] for v in node.inputs))
    return [_joining("concat", node, whole, op.axis, layouts, pieces)]


def _slice(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, Slice)
    if not covered(node, layouts):
        return None
    whole = node.inputs[0]
    pieces = _pieces(whole, op.axis, layouts, op.sizes)
    return [_joining("slice", node, whole, op.axis, layouts, pieces)]


def _concat_back(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, Concat)
    assert isinstance(node.op, Gradient)
    if not covered(node, layouts):
        return None
    whole = node.inputs[0]
    pieces = _pieces(whole, op.axis, layouts, (spec.shape[op.axis] for spec in node.op.inputs))
    wanted = wanted_gradients(node.op, node)
    pieces = [piece for piece, want in zip(pieces, wanted, strict=True) if want is not None]
    return [_joining("slice", node, whole, op.axis, layouts, pieces)]


def _fill(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(op, Fill)
    return [Call("fill", (), node.outputs, (node.outputs[0].spec.size,), (op.value,))]


def _reorder(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """Channels to the end: (C, H W) turned in each example; or back."""
    assert isinstance(op, Reorder)
    x, y = node.inputs[0], node.outputs[0]
    if op.is_view:
        return []
    if is_channels_last(x, layouts) == is_channels_last(y, layouts):
        return [copied(x, y)]
    n, channels, height, width = x.shape
    turned = (n, channels, height * width) if is_channels_last(y, layouts) else (n, height * width, channels)
    return [Call("turn", (x,), (y,), turned)]


def _recast(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """Where nothing is stored in 16 bits, a copy."""
    return [copied(node.inputs[0], node.outputs[0])] if covered(node, layouts) else None


FORWARD: dict[type[Op], Lowering] = {
    Reshape: _view,
    Identity: _view,
    StopGradient: _view,
    Concat: _concat,
    Slice: _slice,
    Fill: _fill,
    Reorder: _reorder,
    Recast: _recast,
}
BACKWARD: dict[type[Op], Lowering] = {
    Reshape: _view_back,
    Identity: _view_back,
    Concat: _concat_back,
    Slice: _concat,
}
