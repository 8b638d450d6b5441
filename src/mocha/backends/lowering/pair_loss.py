"""Losses and a measure of two blobs, element by element, as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis
from mocha.backends.lowering.loss import label_type, turned
from mocha.graph import Node
from mocha.ops import (
    BinaryAccuracy,
    BinaryCrossEntropyLoss,
    GaussianKLLoss,
    Gradient,
    HingeLoss,
    Op,
    SoftlabelSoftmaxLoss,
    SquareLoss,
)


def _softlabel_loss(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, SoftlabelSoftmaxLoss)
        if turned(node, layouts):
            return None
        ints = around_axis(node.inputs[1], op.axis, layouts)  # labels, or the softmax: both as the scores
        return [Call(kernel, node.inputs, node.outputs, ints, (op.weight,))]

    return lower


def _pair_loss(kernel: str) -> Lowering:
    """Forward, or backward with what is wanted."""

    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, (SquareLoss, BinaryCrossEntropyLoss, HingeLoss, GaussianKLLoss))
        if turned(node, layouts):
            return None
        a = node.inputs[0].spec
        wanted = map(int, node.op.wanted) if isinstance(node.op, Gradient) else ()
        return [Call(kernel, node.inputs, node.outputs, (a.size, a.shape[0], *wanted), (op.weight,))]

    return lower


def _binary_accuracy(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    assert isinstance(op, BinaryAccuracy)
    x, label = node.inputs
    kind = label_type(label, x)
    if kind is None or turned(node, layouts):
        return None
    return [Call("binary_accuracy", node.inputs, node.outputs, (x.spec.size, kind), (op.threshold,))]


FORWARD: dict[type[Op], Lowering] = {
    SoftlabelSoftmaxLoss: _softlabel_loss("softlabel_loss_forward"),
    SquareLoss: _pair_loss("square_loss_forward"),
    BinaryCrossEntropyLoss: _pair_loss("cross_entropy_forward"),
    HingeLoss: _pair_loss("hinge_loss_forward"),
    GaussianKLLoss: _pair_loss("gaussian_kl_forward"),
    BinaryAccuracy: _binary_accuracy,
}
BACKWARD: dict[type[Op], Lowering] = {
    SoftlabelSoftmaxLoss: _softlabel_loss("softlabel_loss_backward"),
    SquareLoss: _pair_loss("square_loss_backward"),
    BinaryCrossEntropyLoss: _pair_loss("cross_entropy_backward"),
    HingeLoss: _pair_loss("hinge_loss_backward"),
    GaussianKLLoss: _pair_loss("gaussian_kl_backward"),
}
