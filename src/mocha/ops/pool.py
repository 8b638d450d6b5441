"""Pooling: the maximum or the mean of windows over the last axes of a blob."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Shape, Spec, check_float, check_ranks

Index = tuple[Any, ...]
"""What an array is indexed with: an ellipsis and a slice an axis."""


@dataclasses.dataclass(frozen=True)
class _Windows:
    """The geometry that both poolings share: sizes, borders and the walk over the taps of a window."""

    size: Shape
    kernel: Shape
    stride: Shape
    pad: Shape
    out: Shape

    @property
    def extent(self) -> Shape:
        """The padded size that the windows reach over: the leading padding, and as much as the last window needs."""
        reach = ((o - 1) * s + k for o, s, k in zip(self.out, self.stride, self.kernel, strict=True))
        return tuple(max(r, p + n) for r, p, n in zip(reach, self.pad, self.size, strict=True))

    @property
    def inner(self) -> Index:
        """Where the image lies within the extent."""
        return (..., *(slice(p, p + n) for p, n in zip(self.pad, self.size, strict=True)))

    def padded(self, x: Array, value: float) -> Array:
        """The image inside its extent, `value` around it."""
        if self.extent == self.size:
            return x
        canvas: Array = np.full((*x.shape[: x.ndim - len(self.size)], *self.extent), value, x.dtype)
        canvas[self.inner] = x
        return canvas

    def taps(self) -> Iterator[tuple[int, Index]]:
        """Each tap of the window in row-major order: its number and the cells that it touches, one a window."""
        for number, tap in enumerate(itertools.product(*map(range, self.kernel))):
            ranges = zip(tap, self.out, self.stride, strict=True)
            yield number, (..., *(slice(t, t + (o - 1) * s + 1, s) for t, o, s in ranges))

    def starts(self, axis: int) -> Array:
        """First row of each window along an axis, negative inside the leading padding."""
        return np.arange(self.out[axis]) * self.stride[axis] - self.pad[axis]

    def combined(self, per_axis: Sequence[Array]) -> list[Array]:
        """One array an axis, shaped so that they broadcast over the windows."""
        rank = len(self.out)
        return [a.reshape([-1 if i == axis else 1 for i in range(rank)]) for axis, a in enumerate(per_axis)]

    def empty(self) -> Array:
        """The windows that hold no cell of the image (a stride larger than the kernel can make the last one such)."""
        beyond = self.combined([self.starts(axis) >= n for axis, n in enumerate(self.size)])
        return np.asarray(np.logical_or.reduce(np.broadcast_arrays(*beyond)))


@dataclasses.dataclass(frozen=True)
class _Pooling(Op):
    """What both poolings share: geometry and sizes, as in Caffe.

    Shapes: x (N, C, *size) -> y (N, C, *out), with per axis ``out = round((size + 2 pad - kernel) / stride) + 1``,
    rounded up (`ceil`, Caffe's default) or down. If any pad is not 0, an axis on which the last window would start in
    the trailing padding, ``(out - 1) stride >= size + pad``, loses that window.

    Borders: a window is clipped to the image. One that holds no cell at all gives 0 and passes no gradient.

    Args:
        kernel: extent of the window, one number an axis, >= 1.
        stride: step of the window, one number an axis, >= 1.
        pad: cells added before and after each axis, 0 <= pad < kernel.
        ceil: round the number of windows up, so that the last cells are covered.
    """

    kernel: Shape
    stride: Shape = (1, 1)
    pad: Shape = (0, 0)
    ceil: bool = True

    def __post_init__(self) -> None:
        check_ranks(self, self.kernel, self.stride, self.pad)

    def windows(self, shape: Shape) -> _Windows:
        """The geometry on an input of this shape."""
        rank = len(self.kernel)
        if len(shape) < rank + 1:
            raise ShapeError(f"{self.name}: the input has {len(shape)} axes; expected at least {rank + 1}.")
        size = shape[-rank:]
        out = []
        for n, k, s, p in zip(size, self.kernel, self.stride, self.pad, strict=True):
            if p >= k or n + 2 * p < k:
                raise ShapeError(
                    f"{self.name}: a window of {k} with padding {p} on an axis of {n}; expected a padding smaller than "
                    "the window, and a window that fits into the padded axis."
                )
            span = n + 2 * p - k
            count = (-(-span // s) if self.ceil else span // s) + 1
            if any(self.pad) and (count - 1) * s >= n + p:
                count -= 1
            out.append(count)
        return _Windows(size, self.kernel, self.stride, self.pad, tuple(out))

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """One operation a tap."""
        return outputs[0].size * math.prod(self.kernel)


@dataclasses.dataclass(frozen=True)
class MaxPooling(_Pooling):
    """The maximum of each window, and as a second output the number of the tap that won (row-major in the window).

    Ties: the first maximum in row-major order wins, and the gradient goes to it alone; where windows overlap, a cell
    sums what it gets. NaN: a window that holds a NaN gives NaN, and the last NaN of the window wins.
    """

    n_aux = 1

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        """(N, C, *size) -> (N, C, *out) twice: the maxima, and the winners as uint8, or int32 for a large kernel."""
        check_float(self, x)
        shape = (*x.shape[: x.ndim - len(self.kernel)], *self.windows(x.shape).out)
        return Spec(shape, x.dtype), Spec(shape, self._tap_type)

    @property
    def _tap_type(self) -> np.dtype[np.generic]:
        return np.dtype(np.uint8 if math.prod(self.kernel) <= 256 else np.int32)

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Walk over the taps, keeping the best so far and its number."""
        g = self.windows(x.shape)
        canvas = g.padded(x, -np.inf)
        # the walk starts at the first tap inside the image, so that a window of -inf has a winner too
        first = g.combined([np.maximum(-g.starts(axis), 0) for axis in range(len(g.out))])
        start = np.zeros(g.out, dtype=np.int64)
        for axis, tap in enumerate(first):
            start += tap * math.prod(self.kernel[axis + 1 :])
        y = np.full((*x.shape[: x.ndim - len(g.size)], *g.out), -np.inf, x.dtype)
        winner = np.broadcast_to(start, y.shape).astype(self._tap_type)
        for number, cells in g.taps():
            candidate = canvas[cells]
            better = (candidate > y) | np.isnan(candidate)
            np.copyto(y, candidate, where=better)
            np.copyto(winner, self._tap_type.type(number), where=better)
        np.copyto(y, 0, where=g.empty())
        return y, winner

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Each window's gradient goes to its winner."""
        dy, winner = grads[0], outputs[1]
        g = self.windows(inputs[0].shape)
        dy = np.where(g.empty(), 0, dy)
        dx = np.zeros((*dy.shape[: dy.ndim - len(g.size)], *g.extent), dy.dtype)
        for number, cells in g.taps():
            dx[cells] += np.where(winner == number, dy, 0)
        return np.ascontiguousarray(dx[g.inner])

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The winners alone."""
        return (), (1,)


@dataclasses.dataclass(frozen=True)
class MeanPooling(_Pooling):
    """The mean of each window, with Caffe's divisor.

    The divisor is the number of cells of the window that lie in the image or its padding: per axis
    ``min(start + kernel, size + pad) - start`` with ``start = i stride - pad``. Padding counts as zeros; the part of a
    window that hangs over the padded image does not count.
    """

    def infer(self, x: Spec) -> Spec:
        """(N, C, *size) -> (N, C, *out)."""
        check_float(self, x)
        return Spec((*x.shape[: x.ndim - len(self.kernel)], *self.windows(x.shape).out), x.dtype)

    def _divisor(self, g: _Windows, dtype: np.dtype[np.generic]) -> Array:
        """Cells of each window, infinite for an empty one, so that a quotient by it is 0."""
        cells = []
        for axis, n in enumerate(g.size):
            start = g.starts(axis)
            cells.append(np.minimum(start + g.kernel[axis], n + g.pad[axis]) - start)
        divisor = np.array(1.0)
        for count in g.combined(cells):
            divisor = divisor * count
        return np.where(g.empty(), np.inf, divisor).astype(dtype)

    def forward(self, x: Array) -> Array:
        """The sum over the taps, divided."""
        g = self.windows(x.shape)
        canvas = g.padded(x, 0.0)
        y = np.zeros((*x.shape[: x.ndim - len(g.size)], *g.out), x.dtype)
        for _, cells in g.taps():
            y += canvas[cells]
        return np.asarray(y / self._divisor(g, x.dtype))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Each cell of a window gets the same share."""
        g = self.windows(inputs[0].shape)
        share = grads[0] / self._divisor(g, grads[0].dtype)
        dx = np.zeros((*share.shape[: share.ndim - len(g.size)], *g.extent), share.dtype)
        for _, cells in g.taps():
            dx[cells] += share
        return np.ascontiguousarray(dx[g.inner])

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """Nothing but shapes."""
        return (), ()
