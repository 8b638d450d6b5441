"""More functions of one element as calls of kernels, in any layout."""

from __future__ import annotations

import math

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis
from mocha.backends.lowering.fused import wanted_gradients
from mocha.backends.lowering.pointwise import elementwise
from mocha.graph import Node, Value
from mocha.ops import ELU, Clip, Gradient, Op, PReLU, Softplus, Swish, Threshold

_LONG = 64
"""Elements behind the first two axes that make a row of their own where one slope is for all."""


def _around_slope(x: Value, slope: Value, layouts: Layouts) -> tuple[int, int, int]:
    """(outer, channels, inner); with one slope for all there is one channel, and rows to share among the threads."""
    if slope.shape:
        return around_axis(x, 1, layouts)
    behind = math.prod(x.shape[2:])
    outer = math.prod(x.shape[:2] if behind >= _LONG else x.shape[:1])
    return outer, 1, x.spec.size // max(outer, 1)


def _prelu(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    x, slope = node.inputs
    return [Call("prelu_forward", node.inputs, node.outputs, _around_slope(x, slope, layouts))]


def _prelu_back(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    """The slope's gradient first: the other one may take over dy."""
    assert isinstance(node.op, Gradient)
    x, slope, dy = node.inputs
    dx, ds = wanted_gradients(node.op, node)
    ints = _around_slope(x, slope, layouts)
    calls = []
    if ds is not None:
        calls.append(Call("prelu_slope", (x, dy), (ds,), ints))
    if dx is not None:
        calls.append(Call("prelu_backward", node.inputs, (dx,), ints))
    return calls


FORWARD: dict[type[Op], Lowering] = {
    ELU: elementwise("elu_forward", "alpha"),
    Softplus: elementwise("softplus_forward"),
    Swish: elementwise("swish_forward", "beta"),
    Clip: elementwise("clip_forward", "low", "high"),
    Threshold: elementwise("threshold", "threshold"),
    PReLU: _prelu,
}
BACKWARD: dict[type[Op], Lowering] = {
    ELU: elementwise("elu_backward", "alpha"),
    Softplus: elementwise("softplus_backward"),
    Swish: elementwise("swish_backward", "beta"),
    Clip: elementwise("clip_backward", "low", "high"),
    PReLU: _prelu_back,
}
