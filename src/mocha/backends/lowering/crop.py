"""Cropping as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, is_channels_last
from mocha.graph import Node
from mocha.ops import Crop, Gradient, Op


def _turned(node: Node, layouts: Layouts) -> bool:
    return any(is_channels_last(value, layouts) for value in (*node.inputs, *node.outputs))


def _crop(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, Crop)
    if _turned(node, layouts):
        return None
    how = int(op.random_crop), int(op.random_mirror), int(op.per_image), op.stream
    ints = (*node.inputs[0].shape, op.height, op.width, *how)
    return [Call("crop_forward", node.inputs, node.outputs, ints)]


def _crop_back(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, Crop)
    assert isinstance(node.op, Gradient)
    if _turned(node, layouts):
        return None
    return [Call("crop_backward", node.inputs, node.outputs, (*node.op.inputs[0].shape, op.height, op.width))]


FORWARD: dict[type[Op], Lowering] = {Crop: _crop}
BACKWARD: dict[type[Op], Lowering] = {Crop: _crop_back}
