"""Batch normalisation and what goes with it as calls of kernels, in any layout."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis
from mocha.backends.lowering.fused import wanted_gradients
from mocha.graph import Node
from mocha.ops import BatchNormTest, BatchNormTrain, Gradient, MovingAverage, Op, ScaleChannels


def _batch_norm(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call]:
        assert isinstance(op, (BatchNormTrain, BatchNormTest))
        ints = around_axis(node.outputs[0], 1, layouts)
        return [Call(kernel, node.inputs, node.outputs, ints, (op.eps,))]

    return lower


def _moving_average(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(op, MovingAverage)
    size = node.outputs[0].spec.size
    return [Call("moving_average", node.inputs, node.outputs, (size,), (op.fraction, op.factor))]


def _scale(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(op, ScaleChannels)
    ints = around_axis(node.inputs[0], op.axis, layouts)
    return [Call("scale_channels", node.inputs, node.outputs, ints)]


def _scale_back(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    """The scale's gradient first: the other one may take over dy."""
    assert isinstance(op, ScaleChannels)
    assert isinstance(node.op, Gradient)
    x, s, dy = node.inputs
    dx, ds = wanted_gradients(node.op, node)
    ints = around_axis(x, op.axis, layouts)
    calls = []
    if ds is not None:
        calls.append(Call("scale_channels_backward", (x, dy), (ds,), ints))
    if dx is not None:
        calls.append(Call("scale_channels", (dy, s), (dx,), ints))
    return calls


FORWARD: dict[type[Op], Lowering] = {
    BatchNormTrain: _batch_norm("batch_norm_train_forward"),
    BatchNormTest: _batch_norm("batch_norm_test_forward"),
    MovingAverage: _moving_average,
    ScaleChannels: _scale,
}
BACKWARD: dict[type[Op], Lowering] = {
    BatchNormTrain: _batch_norm("batch_norm_train_backward"),
    BatchNormTest: _batch_norm("batch_norm_test_backward"),
    ScaleChannels: _scale_back,
}
