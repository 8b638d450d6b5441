"""Losses and accuracy as calls of kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis, is_channels_last
from mocha.graph import Node, Value
from mocha.ops import Accuracy, MultinomialLogisticLoss, Op, SoftmaxLoss
from mocha.ops.labels import divide_by
from mocha.ops.loss import LEAST

_LABEL_TYPES = {np.dtype(np.int32): 1, np.dtype(np.int64): 2, np.dtype(np.uint8): 3}
"""How the kernels number the types of labels; 0 is that of the scores."""


def label_type(label: Value, scores: Value) -> int | None:
    """The number of the labels' type; None if the kernels do not read it."""
    return 0 if label.dtype == scores.dtype else _LABEL_TYPES.get(label.dtype)


def turned(node: Node, layouts: Layouts) -> bool:
    """Whether a blob lies channels last; labels and scores are matched in row-major order."""
    return any(is_channels_last(value, layouts) for value in (*node.inputs, *node.outputs))


def _with_class_weights(op: SoftmaxLoss | MultinomialLogisticLoss, x: Value) -> tuple[tuple[int, int], Sequence[float]]:
    """The attributes that stand for the class weights: how many, and whether there is one a class; the weights."""
    if op.weights is None:
        return (0, 0), ()
    fitted = op.weights.fit(x.spec, op.axis)
    # what is not one a class has the extents of an example, or of the blob, and repeats in memory as it is
    return (fitted.size, int(fitted.size == x.shape[op.axis])), fitted.reshape(-1).tolist()


def what_counts(ignore: int | None, divisor: str, positions: int, examples: int) -> tuple[int, int, int]:
    """The attributes that stand for what is ignored and divided by: whether a label is, which; the divisor.

    That is 0 where only the kernel can say how many positions count.
    """
    known = divisor != "counted" or ignore is None
    return int(ignore is not None), ignore or 0, divide_by(divisor, positions, positions, examples) if known else 0


def _softmax_loss(kernel: str, x_at: int, label_at: int) -> Lowering:
    """A loss of the softmax, given which inputs are the scores (or the softmax) and the labels."""

    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, SoftmaxLoss)
        x, label = node.inputs[x_at], node.inputs[label_at]
        kind = label_type(label, x)
        if kind is None or turned(node, layouts):
            return None
        around = around_axis(x, op.axis, layouts)
        which = what_counts(op.ignore, op.divisor, around[0] * around[2], around[0])
        counts, numbers = _with_class_weights(op, x)
        log_least = math.log(op.least) if op.least else -math.inf
        return [
            Call(kernel, node.inputs, node.outputs, (*around, kind, *which, *counts), (log_least, op.weight, *numbers))
        ]

    return lower


def _multinomial_loss(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, MultinomialLogisticLoss)
        x, label = node.inputs[:2]
        kind = label_type(label, x)
        if kind is None or turned(node, layouts):
            return None
        counts, numbers = _with_class_weights(op, x)
        ints = (*around_axis(x, op.axis, layouts), kind, *counts)
        return [Call(kernel, node.inputs, node.outputs, ints, (LEAST, op.weight, *numbers))]

    return lower


def _accuracy(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, Accuracy)
    x, label = node.inputs
    kind = label_type(label, x)
    if kind is None or turned(node, layouts):
        return None
    return [Call("accuracy", node.inputs, node.outputs, (*around_axis(x, op.axis, layouts), kind))]


FORWARD: dict[type[Op], Lowering] = {
    SoftmaxLoss: _softmax_loss("softmax_loss_forward", 0, 1),
    MultinomialLogisticLoss: _multinomial_loss("multinomial_loss_forward"),
    Accuracy: _accuracy,
}
BACKWARD: dict[type[Op], Lowering] = {
    SoftmaxLoss: _softmax_loss("softmax_loss_backward", 1, 0),
    MultinomialLogisticLoss: _multinomial_loss("multinomial_loss_backward"),
}
