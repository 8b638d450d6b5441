"""Convolution and its adjoint as calls of kernels: three, whatever the way in which a backend computes them.

What is forward for the one is the gradient of the input for the other.
"""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts
from mocha.backends.lowering.fused import NO_ACTIVATION, fused_product, wanted_gradients
from mocha.graph import Node, Value
from mocha.ops import Convolution, Deconvolution, Gradient, Op, Spec

Geometry = tuple[int, ...]
"""N C H W K kh kw sh sw ph pw dh dw G Ho Wo."""


def _geometry(op: Convolution, x: Spec, w: Spec, y: Spec) -> Geometry | None:
    """None for other than two spatial axes, or no channels."""
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
    x, w = node.inputs[0].spec, node.inputs[1].spec
    geometry = _geometry(product, x, w, node.outputs[0].spec)
    if geometry is None:
        return None
    return [Call("conv_forward", node.inputs, node.outputs, (*geometry, int(has_bias), kind), (parameter,))]


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
        calls.append(_data_call(geometry, w, dy, dx))
    if dw is not None:
        calls.append(_filter_call(geometry, x, dy, dw))
    return calls


def _data_call(geometry: Geometry, w: Value, dy: Value, dx: Value) -> Call:
    """The gradient of a convolution's input."""
    return Call("conv_backward_data", (w, dy), (dx,), geometry)


def _filter_call(geometry: Geometry, x: Value, dy: Value, dw: Value) -> Call:
    """The gradient of a convolution's filter."""
    return Call("conv_backward_filter", (x, dy), (dw,), geometry)


def deconvolution(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """The gradient of the adjoint's input."""
    assert isinstance(op, Deconvolution)
    (x, w), (y,) = node.inputs, node.outputs
    geometry = _geometry(op.adjoint, y.spec, w.spec, x.spec)
    return None if geometry is None else [_data_call(geometry, w, x, y)]


def deconvolution_back(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """The adjoint itself for the input, and its filter's gradient."""
    gradient = node.op
    assert isinstance(op, Deconvolution)
    assert isinstance(gradient, Gradient)
    geometry = _geometry(op.adjoint, gradient.outputs[0], gradient.inputs[1], gradient.inputs[0])
    if geometry is None:
        return None
    x, w, dy = node.inputs
    dx, dw = wanted_gradients(gradient, node)
    calls = []
    if dx is not None:
        kind, parameter = NO_ACTIVATION
        calls.append(Call("conv_forward", (dy, w), (dx,), (*geometry, 0, kind), (parameter,)))  # 0: no bias
    if dw is not None:
        calls.append(_filter_call(geometry, dy, x, dw))
    return calls


FORWARD = {Convolution: convolution, Deconvolution: deconvolution}
BACKWARD = {Convolution: convolution_back, Deconvolution: deconvolution_back}
