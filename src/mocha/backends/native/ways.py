"""The ways in which the native library does a product: by plain sums, by Winograd's products, or depthwise."""

from __future__ import annotations

import dataclasses

import numpy as np

from mocha.backends.lowering.calls import Call

Geometry = tuple[int, ...]
"""Of a convolution: N C H W K kh kw sh sw ph pw dh dw G Ho Wo."""

_GEOMETRY = 16  # numbers of it

# What Winograd's way costs beside its 36 products a tile and pair of channels, in products of one number; measured on
# one machine, where a vector of 16 numbers takes half a cycle.
_TRANSFORM_INPUT = 400  # a tile and channel of the input
_TRANSFORM_OUTPUT = 250  # a tile and filter
_PACK = 2700  # a pair of channel and filter, for packing filters or collecting their gradient
_READ = 300  # the same where they were packed before: they are larger than the plain ones
_WORTH = 0.9  # of the plain sums' products, above which these are taken

_WORTH_PACKING = 8  # examples from which on a packed weight is faster than one as it lies


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a call becomes where its second input stays the same for many runs: a kernel that wants it packed.

    Attributes:
        packing: the kernel that packs the input; with the attributes below, its scratch size is that of the packed one.
        kernel: the kernel that then runs, on otherwise the same arrays, and on the input as it was behind them all.
        ints: the attributes of both.
    """

    packing: str
    kernel: str
    ints: tuple[int, ...]


def choose_way(call: Call) -> tuple[Call, Prepared | None]:
    """A call as the library has kernels for it, and what it becomes where the second input stays the same."""
    match call.kernel:
        case "conv_forward":
            return _forward(call)
        case "conv_backward_data":
            return _named(call, _way(call.ints, _backward(call.ints), call.inputs[0].dtype)), None
        case "conv_backward_filter":
            return _named(call, _way(call.ints, call.ints, call.inputs[0].dtype)), None
        case "dense_forward":
            packs = call.ints[0] >= _WORTH_PACKING
            return _not_packed(call), Prepared("dense_pack", "dense_forward", (*call.ints, 1)) if packs else None
    return call, None


def _forward(call: Call) -> tuple[Call, Prepared | None]:
    geometry, dtype = call.ints[:_GEOMETRY], call.inputs[0].dtype
    plain = _named(_not_packed(call), _way(geometry, geometry, dtype))
    if _is_depthwise(geometry):
        return plain, None
    tiled = _has_tiles(geometry, dtype) and _fewer_products(geometry, geometry, _READ)
    prepared = "winograd" if tiled else "conv"
    return plain, Prepared(f"{prepared}_pack", f"{prepared}_forward", (*call.ints, 1))


def _named(call: Call, way: str) -> Call:
    return dataclasses.replace(call, kernel=call.kernel.replace("conv", way, 1))


def _not_packed(call: Call) -> Call:
    """The kernels' last attribute is whether the weights are packed."""
    return dataclasses.replace(call, ints=(*call.ints, 0))


def _way(geometry: Geometry, of_pass: Geometry, dtype: np.dtype) -> str:
    """Which kernels do a pass, given its sizes."""
    if _is_depthwise(geometry):
        return "depthwise"
    tiled = _has_tiles(geometry, dtype) and _fewer_products(of_pass, geometry, _PACK)
    return "winograd" if tiled else "conv"


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
