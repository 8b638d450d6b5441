"""The largest of several inputs as calls of kernels, in any layout."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering
from mocha.graph import Node
from mocha.ops import Gradient, Maximum, Op


def _maximum(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    return [Call("maximum_forward", node.inputs, node.outputs, (node.outputs[0].spec.size, len(node.inputs)))]


def _maximum_back(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(node.op, Gradient)
    numbers = [number for number, want in enumerate(node.op.wanted) if want]
    ints = (node.outputs[0].spec.size, len(numbers), *numbers)
    return [Call("maximum_backward", node.inputs, node.outputs, ints)]


FORWARD: dict[type[Op], Lowering] = {Maximum: _maximum}
BACKWARD: dict[type[Op], Lowering] = {Maximum: _maximum_back}
