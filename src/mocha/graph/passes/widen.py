"""Widening: what slides along one axis becomes the same on images of a single row, which backends have kernels for.

Convolutions and poolings are such ops. The row has the same elements, windows, taps and places in the same order, so
that nothing changes but shapes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from mocha import ops
from mocha.graph.graph import Kind, Node, Value
from mocha.ops import Shape

_SLIDING = (
    ops.Convolution, ops.Deconvolution, ops.MaxPooling, ops.MeanPooling, ops.StochasticPooling,
    ops.StochasticPoolingMean,
)  # fmt: skip
_ACROSS = {"kernel": 1, "stride": 1, "pad": 0, "dilation": 1}
"""What such ops may have on each axis, and what of it makes no difference on an axis of one element."""


def widen(nodes: Sequence[Node]) -> list[Node]:
    """Give each convolution and pooling of one spatial axis, and each gradient of one, a second axis of one element.

    A pooling of an array with another number of axes than (N, C, size) stays as it is.

    Args:
        nodes: in running order, chains fused.

    Returns:
        nodes in running order: the same with views around them. Between two such ops the view back may lead to
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
        op = _wide_op(node.op, _blob(node))
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


def _blob(node: Node) -> ops.Spec | None:
    """The first input of the node's op, or of the op whose gradient it is."""
    if isinstance(node.op, ops.Gradient):
        return node.op.inputs[0]
    return node.inputs[0].spec if node.inputs else None


def _wide_op(op: ops.Op, x: ops.Spec | None) -> ops.Op | None:
    """The op on one row, whose first input is x; None for one that stays as it is."""
    if x is None or x.ndim != 3:
        return None
    if isinstance(op, ops.Chain):
        first = _wide_op(op.steps[0], x)
        return None if first is None else ops.Chain((first, *op.steps[1:]), op.counts)
    if isinstance(op, ops.Gradient):
        of = _wide_op(op.of, x)
        specs = (tuple(_wide_spec(spec) for spec in some) for some in (op.inputs, op.outputs))
        return None if of is None else ops.Gradient(of, op.wanted, *specs)
    if isinstance(op, ops.WinnerPlaces):
        pooling = _wide_op(op.pooling, x)
        return ops.WinnerPlaces(pooling) if isinstance(pooling, ops.MaxPooling) else None
    if isinstance(op, _SLIDING) and len(op.stride) == 1:
        fields = {field.name for field in dataclasses.fields(op)}
        wide: dict[str, Any] = {name: (n, *getattr(op, name)) for name, n in _ACROSS.items() if name in fields}
        return dataclasses.replace(op, **wide)
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
