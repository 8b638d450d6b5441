"""The cross entropy of sigmoids as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering
from mocha.backends.lowering.loss import turned, what_counts
from mocha.graph import Node
from mocha.ops import Op, SigmoidCrossEntropyLoss


def _sigmoid_loss(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, SigmoidCrossEntropyLoss)
        if turned(node, layouts):
            return None
        x = node.inputs[0].spec
        ints = (x.size, *what_counts(op.ignore, op.divisor, x.size, x.shape[0]))
        return [Call(kernel, node.inputs, node.outputs, ints, (op.weight,))]

    return lower


FORWARD: dict[type[Op], Lowering] = {SigmoidCrossEntropyLoss: _sigmoid_loss("sigmoid_loss_forward")}
BACKWARD: dict[type[Op], Lowering] = {SigmoidCrossEntropyLoss: _sigmoid_loss("sigmoid_loss_backward")}
