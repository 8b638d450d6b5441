"""What a product is, without saying who does it. Data only: a key of the plans that were found for it, too."""

from __future__ import annotations

import dataclasses
import enum
from typing import NamedTuple

from mocha.backends.lowering.calls import Call
from mocha.errors import BackendUnavailable
from mocha.graph import Half


class Numbers(enum.Enum):
    """How the numbers of an array lie in memory. The value is the suffix of the kernels of that type."""

    FLOAT32 = "f32"
    FLOAT64 = "f64"
    FLOAT16 = "f16"
    BFLOAT16 = "bf16"

    @property
    def nbytes(self) -> int:
        """Of one."""
        return {"f32": 4, "f64": 8, "f16": 2, "bf16": 2}[self.value]


HALVES = {Half.FLOAT16: Numbers.FLOAT16, Half.BFLOAT16: Numbers.BFLOAT16}
"""The types of 16 bits, as the graph names them."""


class Activation(enum.Enum):
    """What is done to a product last; the values are those of the calls' attribute."""

    NONE = 0
    RELU = 1
    LEAKY_RELU = 2


class Unsupported(BackendUnavailable):
    """A library has no way to do a product."""


class Epilogue(NamedTuple):
    """What is done to the elements of a product.

    Attributes:
        bias: whether a number for each channel (or unit) is added, first.
        activation: what comes then, with its parameter: the floor of a ReLU, the slope of a leaky one.
    """

    bias: bool = False
    activation: Activation = Activation.NONE
    parameter: float = 0.0


PLAIN = Epilogue()


class Geometry(NamedTuple):
    """The sizes of a convolution. Images lie channels last, filters (K, kh, kw, C / groups) in memory."""

    n: int
    c: int
    h: int
    w: int
    k: int
    kh: int
    kw: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int
    groups: int
    out_h: int
    out_w: int

    @property
    def filter_elements(self) -> int:
        """Of all filters."""
        return self.k * self.c // self.groups * self.kh * self.kw


class Pass(enum.Enum):
    """Which of the three products of a layer."""

    FORWARD = "forward"
    """x, w[, bias] -> y."""
    DATA = "data"
    """w, dy -> dx."""
    FILTER = "filter"
    """x, dy -> dw."""


@dataclasses.dataclass(frozen=True)
class ConvolutionProduct:
    """One pass of a convolution.

    Attributes:
        which: the pass.
        geometry: the sizes.
        numbers: the type of all arrays.
        tensor_cores: whether float32 numbers may be rounded to TF32 before they are multiplied.
        deterministic: whether the result must be the same in each run.
        epilogue: of the forward pass.
    """

    which: Pass
    geometry: Geometry
    numbers: Numbers
    tensor_cores: bool
    deterministic: bool
    epilogue: Epilogue = PLAIN

    @property
    def plain(self) -> ConvolutionProduct:
        """The same without an epilogue."""
        return dataclasses.replace(self, epilogue=PLAIN)


@dataclasses.dataclass(frozen=True)
class MatrixProduct:
    """One pass of an inner product, y (n, k) = x (n, d) w^T (k, d), all row-major.

    Attributes:
        which: the pass.
        n: examples.
        d: inputs.
        k: units.
        numbers: as above.
        tensor_cores: as above.
        deterministic: as above.
        epilogue: of the forward pass.
    """

    which: Pass
    n: int
    d: int
    k: int
    numbers: Numbers
    tensor_cores: bool
    deterministic: bool
    epilogue: Epilogue = PLAIN

    @property
    def plain(self) -> MatrixProduct:
        """The same without an epilogue."""
        return dataclasses.replace(self, epilogue=PLAIN)


ProductSpec = ConvolutionProduct | MatrixProduct

_CONVOLUTIONS = {
    "conv_forward": Pass.FORWARD,
    "conv_backward_data": Pass.DATA,
    "conv_backward_filter": Pass.FILTER,
}
_MATRICES = {
    "dense_forward": Pass.FORWARD,
    "dense_backward_data": Pass.DATA,
    "dense_backward_weight": Pass.FILTER,
}


def product_of(call: Call, numbers: Numbers, *, tensor_cores: bool, deterministic: bool) -> ProductSpec | None:
    """The product that a call stands for; None for a call of another kind."""
    epilogue = PLAIN
    if call.kernel in ("conv_forward", "dense_forward"):
        bias, activation = call.ints[-2:]
        epilogue = Epilogue(bool(bias), Activation(activation), call.reals[0])
    how = numbers, tensor_cores, deterministic, epilogue
    if call.kernel in _CONVOLUTIONS:
        return ConvolutionProduct(_CONVOLUTIONS[call.kernel], Geometry(*call.ints[:16]), *how)
    if call.kernel in _MATRICES:
        n, d, k = call.ints[:3]
        return MatrixProduct(_MATRICES[call.kernel], n, d, k, *how)
    return None
