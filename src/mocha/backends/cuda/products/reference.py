"""Products done by the ops' reference code, on memory that the host can reach: in the place of NVIDIA's libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mocha.backends.cuda.device import Address, Device
from mocha.backends.cuda.numbers import from_half, to_half
from mocha.backends.cuda.products.spec import (
    HALVES,
    Activation,
    ConvolutionProduct,
    Epilogue,
    MatrixProduct,
    Numbers,
    Pass,
    ProductSpec,
    Unsupported,
)
from mocha.ops import Array, Convolution, Shape

_TYPES = {
    Numbers.FLOAT32: np.float32,
    Numbers.FLOAT64: np.float64,
    Numbers.FLOAT16: np.float16,
    Numbers.BFLOAT16: np.uint16,
}


class ReferenceProducts:
    """Does what NVIDIA's libraries do, and refuses what they refuse.

    Args:
        device: whose memory is the host's.
    """

    def __init__(self, device: Device) -> None:
        self._device = device

    def prepare(self, product: ProductSpec) -> _Product:
        """Nothing to choose.

        Raises:
            Unsupported: a convolution of float64, or an epilogue that is not bias and ReLU.
        """
        if isinstance(product, ConvolutionProduct) and product.numbers is Numbers.FLOAT64:
            raise Unsupported("no convolutions of float64.")
        activation, parameter = product.epilogue[1:]
        if activation is Activation.LEAKY_RELU or (activation is Activation.RELU and parameter != 0):
            raise Unsupported("no such activation behind a product.")
        compute = _convolution(product) if isinstance(product, ConvolutionProduct) else _matrices(product)
        return _Product(self._device, product, compute)


class _Product:
    """One of them."""

    workspace = 0

    def __init__(self, device: Device, product: ProductSpec, compute: Callable[..., Array]) -> None:
        self._device, self._product, self._compute = device, product, compute

    def enqueue(self, inputs: Sequence[Address], outputs: Sequence[Address], workspace: Address) -> None:
        """In array code, in the stream's order."""
        self._device.call(lambda: self._run(tuple(inputs), outputs[0]))

    def _run(self, inputs: tuple[Address, ...], output: Address) -> None:
        shapes, to = shapes_of(self._product)
        numbers = self._product.numbers
        arrays = [
            _read(self._device.view(address, shape, _TYPES[numbers]), numbers)
            for address, shape in zip(inputs, shapes, strict=True)
        ]
        with np.errstate(all="ignore"):
            result = self._compute(*arrays)
        _write(self._device.view(output, to, _TYPES[numbers]), result, numbers)


def shapes_of(product: ProductSpec) -> tuple[list[Shape], Shape]:
    """The shapes in memory of the inputs and of the output."""
    x: Shape
    y: Shape
    w: Shape
    bias: Shape
    if isinstance(product, ConvolutionProduct):
        g = product.geometry
        x, y, w = (g.n, g.h, g.w, g.c), (g.n, g.out_h, g.out_w, g.k), (g.k, g.kh, g.kw, g.c // g.groups)
        bias = (g.k,)
    else:
        x, y, w = (product.n, product.d), (product.n, product.k), (product.k, product.d)
        bias = (product.k,)
    match product.which:
        case Pass.FORWARD:
            given: list[Shape] = [x, w, bias]
            return given[: 2 + product.epilogue.bias], y
        case Pass.DATA:
            return [w, y], x
        case Pass.FILTER:
            return [x, y], w


def _convolution(product: ConvolutionProduct) -> Callable[..., Array]:
    g = product.geometry
    op = Convolution((g.stride_h, g.stride_w), (g.pad_h, g.pad_w), (g.dilation_h, g.dilation_w), g.groups)

    def to_front(array: Array) -> Array:
        return np.moveaxis(array, -1, 1)

    def forward(x: Array, w: Array, *bias: Array) -> Array:
        return finished(op.forward(to_front(x), to_front(w)), product.epilogue, bias)

    def data(w: Array, dy: Array) -> Array:
        return op.input_gradient(to_front(dy), to_front(w), (g.n, g.c, g.h, g.w))

    def filters(x: Array, dy: Array) -> Array:
        like = np.empty((g.k, g.c // g.groups, g.kh, g.kw), x.dtype)
        return op.filter_gradient(to_front(x), to_front(dy), like)

    passes: dict[Pass, Callable[..., Array]] = {Pass.FORWARD: forward, Pass.DATA: data, Pass.FILTER: filters}
    compute = passes[product.which]
    return lambda *arrays: np.moveaxis(compute(*arrays), 1, -1)


def _matrices(product: MatrixProduct) -> Callable[..., Array]:
    def forward(x: Array, w: Array, *bias: Array) -> Array:
        return finished(x @ w.T, product.epilogue, bias)

    def data(w: Array, dy: Array) -> Array:
        return dy @ w

    def weight(x: Array, dy: Array) -> Array:
        return dy.T @ x

    passes: dict[Pass, Callable[..., Array]] = {Pass.FORWARD: forward, Pass.DATA: data, Pass.FILTER: weight}
    return passes[product.which]


def finished(y: Array, epilogue: Epilogue, bias: Sequence[Array]) -> Array:
    """The elements of a product (N, K, ...) with bias and activation."""
    if epilogue.bias:
        y = y + bias[0].reshape(-1, *[1] * (y.ndim - 2))
    parameter = y.dtype.type(epilogue.parameter)
    if epilogue.activation is Activation.RELU:
        return np.where(y < parameter, parameter, y)
    if epilogue.activation is Activation.LEAKY_RELU:
        return np.where(y > 0, y, parameter * y)
    return y


_HALF_OF = {numbers: half for half, numbers in HALVES.items()}


def _read(memory: Array, numbers: Numbers) -> Array:
    """Numbers of 16 bits as float32."""
    return from_half(memory.view(np.uint16), _HALF_OF[numbers]) if numbers in _HALF_OF else memory


def _write(memory: Any, result: Array, numbers: Numbers) -> None:
    """Into memory, rounded to the nearest number of its type."""
    if numbers in _HALF_OF:
        memory.view(np.uint16)[...] = to_half(np.ascontiguousarray(result, np.float32), _HALF_OF[numbers])
    else:
        memory[...] = result
