"""The pointwise family as calls of kernels: they run over memory in order, so the layout does not matter."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis
from mocha.backends.lowering.fused import wanted_gradients
from mocha.graph import Node, Value
from mocha.ops import (
    Abs,
    Add,
    AddBias,
    Divide,
    Exp,
    Gradient,
    LeakyReLU,
    Log,
    Multiply,
    Op,
    Power,
    ReLU,
    Scale,
    Sigmoid,
    Subtract,
    Sum,
    Tanh,
)


def elementwise(kernel: str, *attributes: str) -> Lowering:
    """One call on all inputs, with some of the op's attributes."""

    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call]:
        reals = tuple(float(getattr(op, name)) for name in attributes)
        return [Call(kernel, node.inputs, node.outputs, (node.outputs[0].spec.size,), reals)]

    return lower


def copied(source: Value, target: Value) -> Call:
    """One array into another; nothing happens where they are the same memory."""
    return Call("copy", (source,), (target,), (target.spec.size,))


def _passed_on(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    """Each input's gradient is the output's."""
    return [copied(node.inputs[0], out) for out in node.outputs]


def _sum(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    size = node.outputs[0].spec.size
    return [Call("sum_forward", node.inputs, node.outputs, (size, len(node.inputs)))]


def _wanted(node: Node) -> list[Value | None]:
    assert isinstance(node.op, Gradient)
    return wanted_gradients(node.op, node)


def _subtract_back(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    dy = node.inputs[0]
    da, db = _wanted(node)
    calls = [] if da is None else [copied(dy, da)]
    if db is not None:
        calls.append(Call("scale", (dy,), (db,), (db.spec.size,), (-1.0,)))
    return calls


def _multiply_back(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    a, b, dy = node.inputs
    da, db = _wanted(node)
    ints = (dy.spec.size,)
    if da is not None and db is not None:
        return [Call("multiply_backward", (a, b, dy), (da, db), ints)]
    return [Call("multiply", (dy, b if db is None else a), node.outputs, ints)]


def _divide_back(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    b, _, dy = node.inputs
    da, db = _wanted(node)
    if db is None:
        return [Call("divide", (dy, b), node.outputs, (dy.spec.size,))]
    return [Call("divide_backward", node.inputs, node.outputs, (dy.spec.size, int(da is not None)))]


def _bias(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(op, AddBias)
    return [Call("bias_forward", node.inputs, node.outputs, around_axis(node.inputs[0], op.axis, layouts))]


def _bias_back(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(op, AddBias)
    dy = node.inputs[0]
    dx, db = _wanted(node)
    calls = []
    if db is not None:
        calls.append(Call("bias_backward", (dy,), (db,), around_axis(dy, op.axis, layouts)))
    if dx is not None:
        calls.append(copied(dy, dx))
    return calls


_POWER = ("power", "scale", "shift")

FORWARD: dict[type[Op], Lowering] = {
    ReLU: elementwise("relu_forward", "floor"),
    LeakyReLU: elementwise("leaky_relu_forward", "slope"),
    Sigmoid: elementwise("sigmoid_forward"),
    Tanh: elementwise("tanh_forward"),
    Exp: elementwise("exp_forward"),
    Log: elementwise("log_forward"),
    Abs: elementwise("abs_forward"),
    Power: elementwise("power_forward", *_POWER),
    Scale: elementwise("scale", "factor"),
    Add: elementwise("add"),
    Subtract: elementwise("subtract"),
    Multiply: elementwise("multiply"),
    Divide: elementwise("divide"),
    Sum: _sum,
    AddBias: _bias,
}
BACKWARD: dict[type[Op], Lowering] = {
    ReLU: elementwise("relu_backward", "floor"),
    LeakyReLU: elementwise("leaky_relu_backward", "slope"),
    Sigmoid: elementwise("sigmoid_backward"),
    Tanh: elementwise("tanh_backward"),
    Exp: elementwise("multiply"),
    Log: elementwise("log_backward"),
    Abs: elementwise("abs_backward"),
    Power: elementwise("power_backward", *_POWER),
    Scale: elementwise("scale", "factor"),
    Add: _passed_on,
    Subtract: _subtract_back,
    Multiply: _multiply_back,
    Divide: _divide_back,
    Sum: _passed_on,
    AddBias: _bias_back,
}
