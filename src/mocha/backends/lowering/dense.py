"""Inner product as calls of kernels."""

from __future__ import annotations

import math

from mocha.backends.lowering.calls import Call, Layouts, Lowering
from mocha.backends.lowering.fused import NO_ACTIVATION, fused_product, wanted_gradients
from mocha.graph import Node
from mocha.ops import Gradient, InnerProduct, Op, Spec, TransposedInnerProduct


def _matrix(op: InnerProduct, x: Spec, w: Spec) -> tuple[int, int, int]:
    """N D K."""
    return math.prod(x.shape) // w.shape[1] if w.shape[1] else 0, w.shape[1], w.shape[0]


def inner_product(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """One call, bias and activation included."""
    fused = fused_product(node.op)
    if fused is None:
        return None
    product, has_bias, (kind, parameter) = fused
    assert isinstance(product, InnerProduct)
    if (has_bias and len(node.outputs[0].shape) != 2) or not node.inputs[1].shape[1]:
        return None
    matrix = _matrix(product, node.inputs[0].spec, node.inputs[1].spec)
    return [Call("dense_forward", node.inputs, node.outputs, (*matrix, int(has_bias), kind), (parameter,))]


def inner_product_back(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """One call for the input, one for the weight."""
    gradient = node.op
    assert isinstance(op, InnerProduct)
    assert isinstance(gradient, Gradient)
    if not gradient.inputs[1].shape[1]:
        return None
    matrix = _matrix(op, *gradient.inputs)
    x, w, dy = node.inputs
    dx, dw = wanted_gradients(gradient, node)
    calls = []
    if dx is not None:
        calls.append(Call("dense_backward_data", (w, dy), (dx,), matrix))
    if dw is not None:
        calls.append(Call("dense_backward_weight", (x, dy), (dw,), matrix))
    return calls


def _transposed(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """y = x w is to the kernels the gradient of an inner product's input: x (N, D) stands for dy, w (D, K) for w."""
    x, w = node.inputs
    if not all(w.shape):
        return None
    return [Call("dense_backward_data", (w, x), node.outputs, (x.shape[0], w.shape[1], w.shape[0]))]


def _transposed_back(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """dx = dy w^T is to the kernels an inner product; dw = x^T dy its weight's gradient, x and dy exchanged."""
    gradient = node.op
    assert isinstance(gradient, Gradient)
    x, w, dy = node.inputs
    if not all(w.shape):
        return None
    matrix = x.shape[0], w.shape[1], w.shape[0]
    dx, dw = wanted_gradients(gradient, node)
    calls = []
    if dx is not None:
        calls.append(Call("dense_forward", (dy, w), (dx,), (*matrix, 0, *NO_ACTIVATION[:1]), NO_ACTIVATION[1:]))
    if dw is not None:
        calls.append(Call("dense_backward_weight", (dy, x), (dw,), matrix))
    return calls


FORWARD: dict[type[Op], Lowering] = {InnerProduct: inner_product, TransposedInnerProduct: _transposed}
BACKWARD: dict[type[Op], Lowering] = {InnerProduct: inner_product_back, TransposedInnerProduct: _transposed_back}
