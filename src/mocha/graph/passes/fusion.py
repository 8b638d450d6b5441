"""Fusion: a chain of ops, each fed by the one before and by it alone, becomes one op.

Two kinds of chains are worth it, because each saves passes over memory:

* a product with what is done to its result, ``convolution + bias + activation``;
* the way of a gradient into its parameter, ``clip + decay + step``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mocha import ops
from mocha.graph.graph import Node, Value, users
from mocha.ops.adaptive import AdaptiveStep

_PRODUCTS = (ops.Convolution, ops.InnerProduct)
_AFTER_PRODUCT = (ops.AddBias, ops.ReLU, ops.LeakyReLU, ops.Sigmoid, ops.Tanh, ops.Exp)
_ON_GRADIENT = (ops.ClipByNorm, ops.L2Decay, ops.L1Decay)
_STEPS = (ops.SgdStep, ops.NesterovStep, AdaptiveStep)


def fuse_chains(nodes: Sequence[Node], kept: Collection[Value]) -> list[Node]:
    """Join what can be joined.

    Args:
        nodes: in running order.
        kept: values that somebody will read, which a chain must not swallow.

    Returns:
        nodes in running order; each chain stands where its last op stood.
    """
    used_by = users(nodes)
    result: list[Node] = []
    absorbed: dict[Value, Node] = {}  # the output of a node in `result` that may still grow -> that node
    for node in nodes:
        head = absorbed.pop(node.inputs[0], None) if node.inputs else None
        if head is not None and _continues(head, node):
            result.remove(head)
            node = _joined(head, node)
        result.append(node)
        out = node.outputs[0]
        if len(node.outputs) == 1 and len(used_by.get(out, ())) == 1 and out not in kept and not node.op.updates:
            absorbed[out] = node
    return result


def _continues(head: Node, node: Node) -> bool:
    """Whether the node belongs behind the head in one chain."""
    if head.section is not node.section:
        return False
    steps = head.op.steps if isinstance(head.op, ops.Chain) else (head.op,)
    if isinstance(steps[0], _PRODUCTS):
        return isinstance(node.op, _AFTER_PRODUCT)
    return isinstance(steps[0], _ON_GRADIENT) and isinstance(node.op, (*_ON_GRADIENT, *_STEPS))


def _joined(head: Node, node: Node) -> Node:
    """One node in the place of two."""
    chain = head.op if isinstance(head.op, ops.Chain) else ops.Chain((head.op,), (len(head.inputs),))
    op = chain.extended(node.op, len(node.inputs))
    joined = Node(op, (*head.inputs, *node.inputs[1:]), node.outputs, node.layer, node.section)
    for value in node.outputs:
        value.producer = joined
    return joined
