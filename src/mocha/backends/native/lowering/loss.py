"""Losses and accuracy as calls of kernels."""

from __future__ import annotations

import numpy as np

from mocha.backends.native.calls import Call, Layouts, Lowering, around_axis, is_channels_last
from mocha.graph import Node, Value
from mocha.ops import Accuracy, Gradient, Op, SoftmaxLoss, SquareLoss

_LABEL_TYPES = {np.dtype(np.int32): 1, np.dtype(np.int64): 2, np.dtype(np.uint8): 3}
"""How the kernels number the types of labels; 0 is that of the scores."""


def _label_type(label: Value, scores: Value) -> int | None:
    return 0 if label.dtype == scores.dtype else _LABEL_TYPES.get(label.dtype)


def _turned(node: Node, layouts: Layouts) -> bool:
    """Whether a blob lies channels last; labels and scores are matched in row-major order."""
    return any(is_channels_last(value, layouts) for value in (*node.inputs, *node.outputs))


def _softmax_loss(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, SoftmaxLoss)
    x, label = node.inputs
    kind = _label_type(label, x)
    if kind is None or _turned(node, layouts):
        return None
    ints = (*around_axis(x, op.axis, layouts), kind)
    return [Call("softmax_loss_forward", node.inputs, node.outputs, ints, (op.weight,))]


def _softmax_loss_back(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, SoftmaxLoss)
    label, probability, _ = node.inputs
    kind = _label_type(label, probability)
    if kind is None or _turned(node, layouts):
        return None
    ints = (*around_axis(probability, op.axis, layouts), kind)
    return [Call("softmax_loss_backward", node.inputs, node.outputs, ints, (op.weight,))]


def _square_loss(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, SquareLoss)
    if _turned(node, layouts):
        return None
    a = node.inputs[0].spec
    return [Call("square_loss_forward", node.inputs, node.outputs, (a.size, a.shape[0]), (op.weight,))]


def _square_loss_back(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, SquareLoss)
    assert isinstance(node.op, Gradient)
    if _turned(node, layouts):
        return None
    a = node.inputs[0].spec
    ints = (a.size, a.shape[0], *map(int, node.op.wanted))
    return [Call("square_loss_backward", node.inputs, node.outputs, ints, (op.weight,))]


def _accuracy(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, Accuracy)
    x, label = node.inputs
    kind = _label_type(label, x)
    if kind is None or _turned(node, layouts):
        return None
    return [Call("accuracy", node.inputs, node.outputs, (*around_axis(x, op.axis, layouts), kind))]


FORWARD: dict[type[Op], Lowering] = {
    SoftmaxLoss: _softmax_loss,
    SquareLoss: _square_loss,
    Accuracy: _accuracy,
}
BACKWARD: dict[type[Op], Lowering] = {SoftmaxLoss: _softmax_loss_back, SquareLoss: _square_loss_back}
