"""The windows of poolings: how many there are, where they lie, and the walk over their taps."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Shape

Index = tuple[Any, ...]
"""What an array is indexed with: an ellipsis and a slice an axis."""


@dataclasses.dataclass(frozen=True)
class Windows:
    """Windows over the last axes of an array, as in Caffe.

    Their number, per axis: ``out = round((size + 2 pad - kernel) / stride) + 1``, rounded up or down. If any pad is not
    0, an axis on which the last window would start in the trailing padding, ``(out - 1) stride >= size + pad``, loses
    that window. Window i starts at ``i stride - pad``, and is clipped to the image.
    """

    size: Shape
    kernel: Shape
    stride: Shape
    pad: Shape
    out: Shape

    @classmethod
    def of(cls, name: str, shape: Shape, kernel: Shape, stride: Shape, pad: Shape, ceil: bool) -> Windows:
        """The windows of an array of this shape.

        Args:
            name: the op's, for messages.
            shape: of the array.
            kernel: extent of the window, one number an axis, >= 1.
            stride: step of the window, one number an axis, >= 1.
            pad: cells added before and after each axis, 0 <= pad < kernel.
            ceil: whether the number of windows is rounded up.

        Raises:
            ShapeError: too few axes, or a window does not fit.
        """
        rank = len(kernel)
        if len(shape) < rank + 1:
            raise ShapeError(f"{name}: the input has {len(shape)} axes; expected at least {rank + 1}.")
        size = shape[-rank:]
        out = []
        for n, k, s, p in zip(size, kernel, stride, pad, strict=True):
            if p >= k or n + 2 * p < k:
                raise ShapeError(
                    f"{name}: a window of {k} with padding {p} on an axis of {n}; expected a padding smaller than "
                    "the window, and a window that fits into the padded axis."
                )
            span = n + 2 * p - k
            count = (-(-span // s) if ceil else span // s) + 1
            if any(pad) and (count - 1) * s >= n + p:
                count -= 1
            out.append(count)
        return cls(size, kernel, stride, pad, tuple(out))

    def shaped(self, shape: Shape) -> Shape:
        """The shape of one number for each window of an array of this shape."""
        return (*shape[: len(shape) - len(self.size)], *self.out)

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

    def end_taps(self, *, last: bool) -> Array:
        """The number of each window's first tap in the image, or of its last one."""
        number = np.zeros(self.out, np.int64)
        for axis, starts in enumerate(self.combined([self.starts(axis) for axis in range(len(self.out))])):
            first, beyond = np.maximum(-starts, 0), np.minimum(self.kernel[axis], self.size[axis] - starts)
            number = number * self.kernel[axis] + (np.maximum(beyond - 1, 0) if last else first)
        return number

    def at_winner(self, winner: Array, values: Array) -> Array:
        """The gradient of the image where each window gives its value to the tap that won; empty ones give none."""
        values = np.where(self.empty(), 0, values)
        image = np.zeros((*values.shape[: values.ndim - len(self.size)], *self.extent), values.dtype)
        for number, cells in self.taps():
            image[cells] += np.where(winner == number, values, 0)
        return np.ascontiguousarray(image[self.inner])

    @property
    def tap_type(self) -> np.dtype[Any]:
        """The smallest type for the number of a tap: uint8, or int32 for a large kernel."""
        return np.dtype(np.uint8 if math.prod(self.kernel) <= 256 else np.int32)
