"""The contrastive loss as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering
from mocha.backends.lowering.loss import label_type, turned
from mocha.graph import Node
from mocha.ops import ContrastiveLoss, Gradient, Op
from mocha.ops.contrastive import APART


def _contrastive(kernel: str) -> Lowering:
    """Forward, or backward with what is wanted."""

    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, ContrastiveLoss)
        a, _, label = node.inputs[:3]
        kind = label_type(label, a)
        if kind is None or turned(node, layouts):
            return None
        pairs = a.shape[0]
        wanted = map(int, node.op.wanted[:2]) if isinstance(node.op, Gradient) else ()
        ints = (pairs, a.spec.size // max(pairs, 1), int(op.legacy), kind, *wanted)
        return [Call(kernel, node.inputs, node.outputs, ints, (op.margin, op.weight, APART))]

    return lower


FORWARD: dict[type[Op], Lowering] = {ContrastiveLoss: _contrastive("contrastive_forward")}
BACKWARD: dict[type[Op], Lowering] = {ContrastiveLoss: _contrastive("contrastive_backward")}
