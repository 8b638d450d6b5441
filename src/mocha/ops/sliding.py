"""Windows slid over the last axes of a blob: what convolution and its kin share."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Shape, Spec, check_float, check_ranks


class Sliding(Op):
    """What has windows: of x (N, C, *size) at the places (*out).

    Sizes, per axis: ``out = floor((size + 2 pad - (dilation (kernel - 1) + 1)) / stride) + 1``.

    Borders: `pad` zeros on both sides of each axis. Positions that a stride leaves over at the end are not visited.

    Attributes:
        stride: step of the window, one number an axis, >= 1.
        pad: zeros at each border, one number an axis, >= 0.
        dilation: distance of neighbouring taps, one number an axis, >= 1.
    """

    stride: Shape
    pad: Shape
    dilation: Shape

    def __post_init__(self) -> None:
        check_ranks(self, self.stride, self.pad, self.dilation)

    def check_blob(self, x: Spec) -> None:
        """The input must have two axes more than the windows, and floating-point numbers.

        Raises:
            ShapeError: it has not.
        """
        check_float(self, x)
        rank = len(self.stride)
        if x.ndim != rank + 2:
            raise ShapeError(
                f"{self.name}: the input is {x}; expected {rank + 2} axes: examples, channels, {rank} sizes."
            )

    def check_filter(self, x: Spec, w: Spec) -> None:
        """The filter must have as many axes as the input, and its type.

        Raises:
            ShapeError: it has not.
        """
        if w.ndim != x.ndim or w.dtype != x.dtype:
            raise ShapeError(f"{self.name}: the filter is {w}; expected {x.ndim} axes of {x.dtype}.")

    def extent(self, kernel: Shape) -> Shape:
        """How far a window reaches, from its first tap to its last, per axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(kernel, self.dilation, strict=True))

    def out_size(self, size: Shape, kernel: Shape) -> Shape:
        """The number of places per axis.

        Raises:
            ShapeError: the window does not fit.
        """
        out = []
        for i, extent in enumerate(self.extent(kernel)):
            n, p = size[i], self.pad[i]
            if n + 2 * p < extent:
                raise ShapeError(
                    f"{self.name}: a window of {extent} (kernel {kernel[i]}, dilation {self.dilation[i]}) does not fit "
                    f"into {n} + 2 x {p} padding; use a smaller kernel or more padding."
                )
            out.append((n + 2 * p - extent) // self.stride[i] + 1)
        return tuple(out)

    # Inside, the examples are the last axis, (C, *size, N): one matrix product does for the whole batch, and the copies
    # in and out of the windows run over neighbours in memory.

    def columns(self, x: Array, kernel: Shape, out: Shape) -> Array:
        """The windows of x as columns, one a position and example: (C * taps, P * N)."""
        rank = len(kernel)
        canvas = np.ascontiguousarray(np.moveaxis(x, 0, -1))
        if any(self.pad):
            canvas = np.pad(canvas, [(0, 0), *((p, p) for p in self.pad), (0, 0)])
        windows = sliding_window_view(canvas, self.extent(kernel), axis=tuple(range(1, rank + 1)))
        steps = tuple(slice(None, (o - 1) * s + 1, s) for o, s in zip(out, self.stride, strict=True))
        taps = tuple(slice(None, None, d) for d in self.dilation)
        windows = windows[(slice(None), *steps, slice(None), *taps)]
        # (C, *out, N, *kernel) -> (C, *kernel, *out, N)
        order = (0, *range(rank + 2, 2 * rank + 2), *range(1, rank + 2))
        return windows.transpose(order).reshape(x.shape[1] * math.prod(kernel), math.prod(out) * x.shape[0])

    def scatter(self, columns: Array, shape: Shape, kernel: Shape, out: Shape) -> Array:
        """The adjoint of `columns`: each column is added to the window that it stands for."""
        n, c, *size = shape
        columns = columns.reshape(c, *kernel, *out, n)
        canvas: Array = np.zeros((c, *(s + 2 * p for s, p in zip(size, self.pad, strict=True)), n), columns.dtype)
        for tap in itertools.product(*map(range, kernel)):
            place = tuple(
                slice(t * d, t * d + (o - 1) * s + 1, s)
                for t, d, o, s in zip(tap, self.dilation, out, self.stride, strict=True)
            )
            here: tuple[Any, ...] = (slice(None), *tap)
            canvas[(slice(None), *place)] += columns[here]
        inner = tuple(slice(p, p + s) for s, p in zip(size, self.pad, strict=True))
        return np.ascontiguousarray(np.moveaxis(canvas[(slice(None), *inner)], -1, 0))
