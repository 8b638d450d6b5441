"""Convolution: a filter slid over the last axes of a blob."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Shape, Spec, check_float, check_ranks


@dataclasses.dataclass(frozen=True)
class Convolution(Op):
    """Cross-correlation (the filter is not flipped), as in Caffe and Mocha, over any number of spatial axes.

    Shapes: x (N, C, *size), w (K, C / groups, *kernel) -> y (N, K, *out), with per axis
    ``out = floor((size + 2 pad - (dilation (kernel - 1) + 1)) / stride) + 1``.

    Borders: `pad` zeros on both sides of each axis. Positions that a stride leaves over at the end are not visited;
    their gradient is zero. Group g maps input channels ``[g C/groups, (g+1) C/groups)`` to the outputs
    ``[g K/groups, (g+1) K/groups)``.

    Args:
        stride: step of the window, one number an axis, >= 1.
        pad: zeros at each border, one number an axis, >= 0.
        dilation: distance of neighbouring filter taps, one number an axis, >= 1.
        groups: number of independent groups of channels; divides C and K.
    """

    stride: Shape = (1, 1)
    pad: Shape = (0, 0)
    dilation: Shape = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        check_ranks(self, self.stride, self.pad, self.dilation)

    def infer(self, x: Spec, w: Spec) -> Spec:
        """(N, C, *size), (K, C/groups, *kernel) -> (N, K, *out)."""
        check_float(self, x)
        rank = len(self.stride)
        if x.ndim != rank + 2:
            raise ShapeError(
                f"{self.name}: the input is {x}; expected {rank + 2} axes: examples, channels, {rank} sizes."
            )
        if w.ndim != rank + 2 or w.dtype != x.dtype:
            raise ShapeError(f"{self.name}: the filter is {w}; expected {rank + 2} axes of {x.dtype}.")
        channels, filters = x.shape[1], w.shape[0]
        if channels % self.groups or filters % self.groups or w.shape[1] * self.groups != channels:
            raise ShapeError(
                f"{self.name}: {channels} channels, {filters} filters of {w.shape[1]} channels and {self.groups} "
                "groups "
                "do not fit; the groups must divide both, and a filter sees channels / groups."
            )
        return Spec((x.shape[0], filters, *self._out_size(x.shape[2:], w.shape[2:])), x.dtype)

    def _out_size(self, size: Shape, kernel: Shape) -> Shape:
        out = []
        for n, k, s, p, d in zip(size, kernel, self.stride, self.pad, self.dilation, strict=True):
            extent = d * (k - 1) + 1
            if n + 2 * p < extent:
                raise ShapeError(
                    f"{self.name}: a window of {extent} (kernel {k}, dilation {d}) does not fit into {n} + 2 x {p} "
                    "padding; use a smaller kernel or more padding."
                )
            out.append((n + 2 * p - extent) // s + 1)
        return tuple(out)

    # Inside, the examples are the last axis, (C, *size, N): one matrix product does for the whole batch, and the copies
    # in and out of the windows run over neighbours in memory.

    def _columns(self, x: Array, kernel: Shape, out: Shape) -> Array:
        """The windows of x as columns, one a position and example: (groups, C/groups * taps, P * N)."""
        rank = len(kernel)
        canvas = np.ascontiguousarray(np.moveaxis(x, 0, -1))
        if any(self.pad):
            canvas = np.pad(canvas, [(0, 0), *((p, p) for p in self.pad), (0, 0)])
        extent = tuple(d * (k - 1) + 1 for k, d in zip(kernel, self.dilation, strict=True))
        windows = sliding_window_view(canvas, extent, axis=tuple(range(1, rank + 1)))
        steps = tuple(slice(None, (o - 1) * s + 1, s) for o, s in zip(out, self.stride, strict=True))
        taps = tuple(slice(None, None, d) for d in self.dilation)
        windows = windows[(slice(None), *steps, slice(None), *taps)]
        # (C, *out, N, *kernel) -> (C, *kernel, *out, N)
        order = (0, *range(rank + 2, 2 * rank + 2), *range(1, rank + 2))
        return windows.transpose(order).reshape(self.groups, x.shape[1] // self.groups * math.prod(kernel), -1)

    def _scatter(self, columns: Array, shape: Shape, kernel: Shape, out: Shape) -> Array:
        """The adjoint of `_columns`: each column is added to the window that it stands for."""
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

    def forward(self, x: Array, w: Array) -> Array:
        """y[n, k, p] = sum over (channel, tap) of w[k, ...] x[n, window p], one matrix product a group."""
        out = self._out_size(x.shape[2:], w.shape[2:])
        y = np.matmul(w.reshape(self.groups, w.shape[0] // self.groups, -1), self._columns(x, w.shape[2:], out))
        return np.ascontiguousarray(np.moveaxis(y.reshape(w.shape[0], *out, x.shape[0]), -1, 0))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """dw = dy columns^T; dx = the columns w^T dy, added back to where they were cut from."""
        x, w = inputs
        per_group = w.shape[0] // self.groups
        out = grads[0].shape[2:]
        dy = np.moveaxis(grads[0], 0, -1).reshape(self.groups, per_group, -1)
        dx = dw = None
        if wanted[1]:
            dw = np.matmul(dy, self._columns(x, w.shape[2:], out).swapaxes(1, 2)).reshape(w.shape)
        if wanted[0]:
            columns = np.matmul(w.reshape(self.groups, per_group, -1).swapaxes(1, 2), dy)
            dx = self._scatter(columns, x.shape, w.shape[2:], out)
        return dx, dw

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The gradients need the input and the filter, not the output."""
        return (0, 1), ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Two operations an output, a channel of the group and a tap."""
        return 2 * outputs[0].size * math.prod(inputs[1].shape[1:])
