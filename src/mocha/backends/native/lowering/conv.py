"""Convolution as calls of kernels."""

from __future__ import annotations

from mocha.backends.native.calls import Call, Layouts
from mocha.backends.native.lowering.fused import fused_product, wanted_gradients
from mocha.graph import Node
from mocha.ops import Convolution, Gradient, Op, Spec


def _geometry(op: Convolution, x: Spec, w: Spec, y: Spec) -> tuple[int, ...] | None:
    """N C H W K kh kw sh sw ph pw dh dw G Ho Wo; None for other than two spatial axes, or no channels."""
    if x.ndim != 4 or not x.shape[1]:
        return None
    return (*x.shape, w.shape[0], *w.shape[2:], *op.stride, *op.pad, *op.dilation, op.groups, *y.shape[2:])


def convolution(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """One call, bias and activation included."""
    fused = fused_product(node.op)
    if fused is None:
        return None
    product, has_bias, (kind, parameter) = fused
    assert isinstance(product, Convolution)
    geometry = _geometry(product, node.inputs[0].spec, node.inputs[1].spec, node.outputs[0].spec)
    if geometry is None:
        return None
    return [Call("conv_forward", node.inputs, node.outputs, (*geometry, int(has_bias), kind, 0), (parameter,))]


def convolution_back(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """One call for the input, one for the filter."""
    gradient = node.op
    assert isinstance(op, Convolution)
    assert isinstance(gradient, Gradient)
    geometry = _geometry(op, gradient.inputs[0], gradient.inputs[1], gradient.outputs[0])
    if geometry is None:
        return None
    x, w, dy = node.inputs
    dx, dw = wanted_gradients(gradient, node)
    calls = []
    if dx is not None:
        calls.append(Call("conv_backward_data", (w, dy), (dx,), geometry))
    if dw is not None:
        calls.append(Call("conv_backward_filter", (x, dy), (dw,), geometry))
    return calls


FORWARD = {Convolution: convolution}
BACKWARD = {Convolution: convolution_back}
