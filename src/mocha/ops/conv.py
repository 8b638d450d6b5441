"""Convolution, a filter slid over the last axes of a blob, and its adjoint."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Shape, Spec
from mocha.ops.sliding import Sliding


@dataclasses.dataclass(frozen=True)
class Convolution(Sliding):
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

    def infer(self, x: Spec, w: Spec) -> Spec:
        """(N, C, *size), (K, C/groups, *kernel) -> (N, K, *out)."""
        self.check_blob(x)
        self.check_filter(x, w)
        channels, filters = x.shape[1], w.shape[0]
        if channels % self.groups or filters % self.groups or w.shape[1] * self.groups != channels:
            raise ShapeError(
                f"{self.name}: {channels} channels, {filters} filters of {w.shape[1]} channels and {self.groups} "
                "groups "
                "do not fit; the groups must divide both, and a filter sees channels / groups."
            )
        return Spec((x.shape[0], filters, *self.out_size(x.shape[2:], w.shape[2:])), x.dtype)

    def forward(self, x: Array, w: Array) -> Array:
        """y[n, k, p] = sum over (channel, tap) of w[k, ...] x[n, window p], one matrix product a group."""
        out = self.out_size(x.shape[2:], w.shape[2:])
        y = np.matmul(self._by_group(w), self._grouped(self.columns(x, w.shape[2:], out), w))
        return np.ascontiguousarray(np.moveaxis(y.reshape(w.shape[0], *out, x.shape[0]), -1, 0))

    def _grouped(self, columns: Array, w: Array | Spec) -> Array:
        """The columns of each group of channels: (groups, C/groups * taps, P * N)."""
        return columns.reshape(self.groups, math.prod(w.shape[1:]), columns.shape[1])

    def _by_group(self, filters: Array) -> Array:
        """An array with one entry a filter along its first axis: (groups, filters / groups, all the rest)."""
        return filters.reshape(self.groups, filters.shape[0] // self.groups, math.prod(filters.shape[1:]))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """dw = dy columns^T; dx = the columns w^T dy, added back to where they were cut from."""
        x, w = inputs
        dx = self.input_gradient(grads[0], w, x.shape) if wanted[0] else None
        return dx, self.filter_gradient(x, grads[0], w) if wanted[1] else None

    def input_gradient(self, dy: Array, w: Array, shape: Shape) -> Array:
        """The gradient of an input of this shape."""
        columns = np.matmul(self._by_group(w).swapaxes(1, 2), self._by_group(np.moveaxis(dy, 0, -1)))
        return self.scatter(columns, shape, w.shape[2:], dy.shape[2:])

    def filter_gradient(self, x: Array, dy: Array, w: Array | Spec) -> Array:
        """The gradient of a filter of this shape."""
        columns = self._grouped(self.columns(x, w.shape[2:], dy.shape[2:]), w)
        return np.matmul(self._by_group(np.moveaxis(dy, 0, -1)), columns.swapaxes(1, 2)).reshape(w.shape)

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The gradients need the input and the filter, not the output."""
        return (0, 1), ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Two operations an output, a channel of the group and a tap."""
        return 2 * outputs[0].size * math.prod(inputs[1].shape[1:])


@dataclasses.dataclass(frozen=True)
class Deconvolution(Sliding):
    """The adjoint of `Convolution` with the same attributes: each input scatters its filter into the output.

    Shapes: x (N, C, *size), w (C, K / groups, *kernel) -> y (N, K, *out), with per axis
    ``out = stride (size - 1) + dilation (kernel - 1) + 1 - 2 pad``; size and out are at least 1.

    Borders: `pad` elements are cut off on both sides of each axis. Group g maps input channels
    ``[g C/groups, (g+1) C/groups)`` to the outputs ``[g K/groups, (g+1) K/groups)``. So <y, z> = <x, conv(z, w)> for
    all z: forward is a convolution's gradient of its input, and the other way round.

    Args:
        stride: distance in the output of what neighbouring inputs scatter, one number an axis, >= 1.
        pad: what is cut off at each border, one number an axis, >= 0.
        dilation: distance of neighbouring filter taps, one number an axis, >= 1.
        groups: number of independent groups of channels; divides C and K.
    """

    stride: Shape = (1, 1)
    pad: Shape = (0, 0)
    dilation: Shape = (1, 1)
    groups: int = 1

    @property
    def adjoint(self) -> Convolution:
        """The convolution that goes the other way with the same filter."""
        return Convolution(self.stride, self.pad, self.dilation, self.groups)

    def infer(self, x: Spec, w: Spec) -> Spec:
        """(N, C, *size), (C, K/groups, *kernel) -> (N, K, *out)."""
        self.check_blob(x)
        self.check_filter(x, w)
        channels = x.shape[1]
        if channels % self.groups or w.shape[0] != channels:
            raise ShapeError(
                f"{self.name}: {channels} channels, a filter of {w} and {self.groups} groups do not fit; the groups "
                "must divide the channels, and the filter's first axis counts these."
            )
        return Spec(self._shape(x.shape, w.shape), x.dtype)

    def _shape(self, x: Shape, w: Shape) -> Shape:
        """The output's shape."""
        out = []
        for n, s, p, extent in zip(x[2:], self.stride, self.pad, self.extent(w[2:]), strict=True):
            out.append(s * (n - 1) + extent - 2 * p)
            if n < 1 or out[-1] < 1:
                raise ShapeError(
                    f"{self.name}: an axis of {n} becomes {s} x ({n} - 1) + {extent} - 2 x {p} padding = {out[-1]} "
                    "long; expected at least 1 of each."
                )
        return (x[0], w[1] * self.groups, *out)

    def forward(self, x: Array, w: Array) -> Array:
        """The columns w^T x, added up where their windows lie."""
        return self.adjoint.input_gradient(x, w, self._shape(x.shape, w.shape))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """dx = convolution of dy; dw = gradient of that convolution's filter where dx's is x."""
        (x, w), dy = inputs, grads[0]
        dx = self.adjoint.forward(dy, w) if wanted[0] else None
        return dx, self.adjoint.filter_gradient(dy, x, w) if wanted[1] else None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The gradients need the input and the filter, not the output."""
        return (0, 1), ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Two operations an input, an output channel of the group and a tap."""
        return 2 * inputs[0].size * math.prod(inputs[1].shape[1:])
