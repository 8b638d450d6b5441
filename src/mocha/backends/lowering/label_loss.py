"""Losses and a measure of all scores of a position as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis
from mocha.backends.lowering.loss import label_type, turned, what_counts
from mocha.graph import Node
from mocha.ops import InfogainLoss, MulticlassHingeLoss, Op, RankAccuracy


def _infogain(kernel: str, x_at: int, label_at: int) -> Lowering:
    """Given which inputs are the scores (or the softmax) and the labels."""

    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, InfogainLoss)
        x, label = node.inputs[x_at], node.inputs[label_at]
        kind = label_type(label, x)
        if kind is None or turned(node, layouts):
            return None
        around = around_axis(x, op.axis, layouts)
        ints = (*around, kind, *what_counts(op.ignore, op.divisor, around[0] * around[2], around[0]))
        return [Call(kernel, node.inputs, node.outputs, ints, (op.weight,))]

    return lower


def _multiclass_hinge(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, MulticlassHingeLoss)
        x, label = node.inputs[:2]
        kind = label_type(label, x)
        if kind is None or turned(node, layouts):
            return None
        examples = x.shape[0]
        ints = (examples, x.spec.size // max(examples, 1), op.norm, kind)
        return [Call(kernel, node.inputs, node.outputs, ints, (op.weight,))]

    return lower


def _rank_accuracy(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, RankAccuracy)
    x, label = node.inputs
    kind = label_type(label, x)
    if kind is None or turned(node, layouts):
        return None
    ints = (*around_axis(x, op.axis, layouts), kind, int(op.ignore is not None), op.ignore or 0, op.top_k)
    return [Call("rank_accuracy", node.inputs, node.outputs, ints)]


FORWARD: dict[type[Op], Lowering] = {
    InfogainLoss: _infogain("infogain_forward", 0, 1),
    MulticlassHingeLoss: _multiclass_hinge("multiclass_hinge_forward"),
    RankAccuracy: _rank_accuracy,
}
BACKWARD: dict[type[Op], Lowering] = {
    InfogainLoss: _infogain("infogain_backward", 2, 0),
    MulticlassHingeLoss: _multiclass_hinge("multiclass_hinge_backward"),
}
