"""Convolution and its adjoint as calls of kernels: by plain sums, by Winograd's products, or depthwise.

What is forward for the one is the gradient of the input for the other.
"""

from __future__ import annotations

import numpy as np

from mocha.backends.native.calls import Call, Layouts, Prepared
from mocha.backends.native.lowering.fused import NO_ACTIVATION, fused_product, wanted_gradients
from mocha.graph import Node, Value
from mocha.ops import Convolution, Deconvolution, Gradient, Op, Spec

Geometry = tuple[int, ...]
"""N C H W K kh kw sh sw ph pw dh dw G Ho Wo."""

# What Winograd's way costs beside its 36 products a tile and pair of channels, in products of one number; measured on
# one machine, where a vector of 16 numbers takes half a cycle.
_TRANSFORM_INPUT = 400  # a tile and channel of the input
_TRANSFORM_OUTPUT = 250  # a tile and filter
_PACK = 2700  # a pair of channel and filter, for packing filters or collecting their gradient
_READ = 300  # the same where they were packed before: they are larger than the plain ones
_WORTH = 0.9  # of the plain sums' products, above which these are taken


def _geometry(op: Convolution, x: Spec, w: Spec, y: Spec) -> Geometry | None:
    """None for other than two spatial axes, or no channels."""
    if x.ndim != 4 or not x.shape[1]:
        return None
    return (*x.shape, w.shape[0], *w.shape[2:], *op.stride, *op.pad, *op.dilation, op.groups, *y.shape[2:])


def _backward(geometry: Geometry) -> Geometry:
    """The input's gradient as a convolution of the output's gradient, as far as the sizes go."""
    n, c, h, w, k, *rest, ho, wo = geometry
    return (n, k, ho, wo, c, *rest, h, w)


def _is_depthwise(geometry: Geometry) -> bool:
    """Whether each channel has one filter, which sees nothing else."""
    _, c, _, _, k, *_, groups, _, _ = geometry
    return c == k == groups > 1


def _has_tiles(geometry: Geometry, dtype: np.dtype) -> bool:
    """Whether there are kernels by Winograd's way: square filters of 3 or 5 taps a side, moved by one, in float32."""
    _, _, _, _, _, kh, kw, *moves, _, _, _ = geometry
    stride, dilation = moves[:2], moves[4:6]
    return dtype == np.float32 and kh == kw and kh in (3, 5) and {*stride, *dilation} == {1}


def _fewer_products(geometry: Geometry, plain: Geometry, per_filter: int) -> bool:
    """Whether a pass by tiles takes fewer products than the forward pass by plain sums, which all passes take.

    Args:
        geometry: sizes of the pass.
        plain: sizes of the forward pass.
        per_filter: products that the handling of filters is worth, for a pair of channel and filter.
    """
    n, c, _, _, k, taps, *_, groups, ho, wo = geometry
    outputs = 7 - taps
    tiles = n * -(-ho // outputs) * -(-wo // outputs)
    channels, filters = c // groups, _whole_vectors(k // groups)
    products = tiles * 36 * channels * filters + per_filter * channels * filters
    products += tiles * (_TRANSFORM_INPUT * _whole_vectors(channels) + _TRANSFORM_OUTPUT * filters)
    sums = plain[0] * plain[-2] * plain[-1] * taps**2 * plain[1] // groups * _whole_vectors(plain[4] // groups)
    return products < _WORTH * sums


def _whole_vectors(channels: int) -> int:
    return -(-channels // 16) * 16


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
    plain, packed = ((*geometry, int(has_bias), kind, is_packed) for is_packed in (0, 1))
    if _is_depthwise(geometry):
        return [Call("depthwise_forward", node.inputs, node.outputs, plain, (parameter,))]
    way, prepared = "conv", "conv"
    if _has_tiles(geometry, x.dtype):
        way = "winograd" if _fewer_products(geometry, geometry, _PACK) else "conv"
        prepared = "winograd" if _fewer_products(geometry, geometry, _READ) else "conv"
    instead = Prepared(f"{prepared}_pack", f"{prepared}_forward", packed)
    return [Call(f"{way}_forward", node.inputs, node.outputs, plain, (parameter,), instead)]


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
    way = _way(geometry, _backward(geometry), w.dtype)
    return Call(f"{way}_backward_data", (w, dy), (dx,), geometry)


def _filter_call(geometry: Geometry, x: Value, dy: Value, dw: Value) -> Call:
    """The gradient of a convolution's filter."""
    return Call(f"{_way(geometry, geometry, x.dtype)}_backward_filter", (x, dy), (dw,), geometry)


def _way(geometry: Geometry, of_pass: Geometry, dtype: np.dtype) -> str:
    """Which kernels do a pass, given its sizes."""
    if _is_depthwise(geometry):
        return "depthwise"
    tiled = _has_tiles(geometry, dtype) and _fewer_products(of_pass, geometry, _PACK)
    return "winograd" if tiled else "conv"


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
        ints = (*geometry, 0, kind, 0)  # no bias, filters not packed
        calls.append(Call(f"{_way(geometry, geometry, w.dtype)}_forward", (dy, w), (dx,), ints, (parameter,)))
    if dw is not None:
        calls.append(_filter_call(geometry, dy, x, dw))
    return calls


FORWARD = {Convolution: convolution, Deconvolution: deconvolution}
BACKWARD = {Convolution: convolution_back, Deconvolution: deconvolution_back}
