"""Widening: a convolution along one axis becomes one of images of a single row, which backends have kernels for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mocha import ops
from mocha.graph.graph import Kind, Node, Value
from mocha.ops import Shape

_SLIDING = (ops.Convolution, ops.Deconvolution)


def widen(nodes: Sequence[Node]) -> list[Node]:
    """Give each convolution of one spatial axis, and each gradient of one, a second axis of one element.

    Args:
        nodes: in running order, chains fused.

    Returns:
        nodes in running order: the same with views around them. Between two such convolutions the view back may lead to
        nothing; it is left to pruning.
    """
    result: list[Node] = []
    wide: dict[Value, Value] = {}  # a value of three axes -> the same one with four

    def view(value: Value, node: Node) -> Value:
        """An input with its second axis; what has not three axes stays: a bias."""
        if len(value.shape) != 3:
            return value
        if value not in wide:
            wide[value] = _viewed(value, _wide_shape(value.shape), node, result)
        return wide[value]

    for node in nodes:
        op = _wide_op(node.op)
        if op is None:
            result.append(node)
            continue
        inputs = tuple(view(value, node) for value in node.inputs)
        outputs = tuple(
            Value(_wide_spec(v.spec), Kind.COMPUTED, v.name) if len(v.shape) == 3 else v for v in node.outputs
        )
        changed = Node(op, inputs, outputs, node.layer, node.section)
        result.append(changed)
        for old, new in zip(node.outputs, outputs, strict=True):
            new.producer = changed
            if old is not new:
                old.producer = Node(ops.Reshape(old.shape), (new,), (old,), node.layer, node.section)
                result.append(old.producer)
                wide[old] = new
    return result


def _wide_op(op: ops.Op) -> ops.Op | None:
    """The op on one row; None for one that stays as it is."""
    if isinstance(op, ops.Chain):
        first = _wide_op(op.steps[0])
        return None if first is None else ops.Chain((first, *op.steps[1:]), op.counts)
    if isinstance(op, ops.Gradient):
        of = _wide_op(op.of)
        specs = (tuple(_wide_spec(spec) for spec in some) for some in (op.inputs, op.outputs))
        return None if of is None else ops.Gradient(of, op.wanted, *specs)
    if isinstance(op, _SLIDING) and len(op.stride) == 1:
        return dataclasses.replace(op, stride=(1, *op.stride), pad=(0, *op.pad), dilation=(1, *op.dilation))
    return None


def _wide_shape(shape: Shape) -> Shape:
    return (*shape[:2], 1, *shape[2:])


def _wide_spec(spec: ops.Spec) -> ops.Spec:
    return ops.Spec(_wide_shape(spec.shape), spec.dtype) if spec.ndim == 3 else spec


def _viewed(value: Value, shape: Shape, node: Node, result: list[Node]) -> Value:
    """The value under another shape, by a view among the nodes."""
    out = Value(ops.Spec(shape, value.dtype), Kind.COMPUTED, value.name)
    out.producer = Node(ops.Reshape(shape), (value,), (out,), node.layer, node.section)
    result.append(out.producer)
    return out
