"""The calls of kernels that compute a node: looked up by its op, chains taken apart."""

from __future__ import annotations

from mocha.backends.lowering import (
    activation,
    arrange,
    batch_norm,
    batch_norm_unit,
    contrastive,
    conv,
    crop,
    dense,
    gather,
    index,
    label_loss,
    loss,
    maximum,
    norm,
    pair_loss,
    pointwise,
    pool,
    pool_along,
    random,
    recurrent,
    reduce,
    resize,
    roi_pool,
    shape,
    sigmoid_loss,
    softmax,
    standardize,
    stochastic_pool,
    unfold,
    update,
)
from mocha.backends.lowering.calls import Call, Layouts, Lowering
from mocha.graph import Node
from mocha.ops import Chain, Gradient, Op

_FAMILIES = (
    activation, arrange, batch_norm, batch_norm_unit, contrastive, conv, crop, dense, gather, index, label_loss, loss,
    maximum, norm, pair_loss, pointwise, pool, pool_along, random, recurrent, reduce, resize, roi_pool, shape,
    sigmoid_loss, softmax, standardize, stochastic_pool, unfold,
    update,
)  # fmt: skip
_FORWARD: dict[type[Op], Lowering] = {op: lower for family in _FAMILIES for op, lower in family.FORWARD.items()}
_BACKWARD: dict[type[Op], Lowering] = {op: lower for family in _FAMILIES for op, lower in family.BACKWARD.items()}


def lower_node(node: Node, layouts: Layouts) -> list[Call] | None:
    """The calls that compute a node; None if the kernels do not cover it, and the reference must."""
    op = node.op
    if isinstance(op, Gradient):
        back = _BACKWARD.get(type(op.of))
        return back(op.of, node, layouts) if back else None
    if isinstance(op, Chain):
        return _lower_chain(op, node, layouts)
    forward = _FORWARD.get(type(op))
    return forward(op, node, layouts) if forward else None


def _lower_chain(op: Chain, node: Node, layouts: Layouts) -> list[Call] | None:
    """A chain that some kernel runs as one; else its longest beginning that one does, and the rest in place."""
    fused = _FORWARD.get(type(op.steps[0]))
    if op.updates:
        return update.chain(op, node, layouts)
    if fused is None:
        return None
    for length in range(len(op.steps), 0, -1):
        head = _part(node, op, 0, length)
        calls = fused(op.steps[0], head, layouts)
        if calls is not None:
            break
    else:
        return None
    for position in range(length, len(op.steps)):
        lower = _FORWARD.get(type(op.steps[position]))
        more = lower(op.steps[position], _part(node, op, position, position + 1), layouts) if lower else None
        if more is None:
            return None
        calls += more
    return calls


def _part(node: Node, op: Chain, begin: int, end: int) -> Node:
    """Steps [begin, end) of a chain as a node of their own, with the chain's output for whatever lies between."""
    own = [op.counts[0], *(count - 1 for count in op.counts[1:])]
    first, last = sum(own[:begin]), sum(own[:end])
    inputs = node.inputs[first:last] if begin == 0 else (node.outputs[0], *node.inputs[first:last])
    part: Op = op.steps[begin]
    if end - begin > 1:
        part = Chain(op.steps[begin:end], op.counts[begin:end])
    return Node(part, inputs, node.outputs, node.layer, node.section)
