"""Batch normalisation in training and in testing, and what goes with it: running averages, a scale of channels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_axis, check_float

Indices = tuple[Sequence[int], Sequence[int]]


def _around_channels(x: Array | Spec) -> tuple[int, ...]:
    """All axes but the channels."""
    return tuple(axis for axis in range(len(x.shape)) if axis != 1)


def _spread(values: Array, ndim: int, axis: int = 1) -> Array:
    """(C) so that it broadcasts along an axis."""
    return values.reshape([-1 if i == axis else 1 for i in range(ndim)])


def _mean(a: Array) -> Array:
    """The mean of each channel, summed in float64, as (C) of float64."""
    return np.asarray(a.sum(axis=_around_channels(a), dtype=np.float64) / (a.size // max(a.shape[1], 1)))


def _check_channels(op: Op, x: Spec, axis: int, **given: Spec) -> None:
    """Each must be one number a channel.

    Raises:
        ShapeError: one is not.
    """
    check_float(op, x)
    expected = Spec((x.shape[check_axis(op, axis, x)],), x.dtype)
    for what, spec in given.items():
        if spec != expected:
            raise ShapeError(f"{op.name}: the {what} is {spec}; expected {expected} for an input of {x}.")


@dataclasses.dataclass(frozen=True)
class BatchNormTrain(Op):
    """y = (x - mean) / sqrt(var + eps) with the statistics of each channel in this batch: the second and third output.

    Shapes: x (N, C, ...) -> y like x, mean (C), var (C). The mean is over all axes but the channels, M numbers; var is
    the mean of (x - mean)^2, not corrected by M / (M - 1). Both are summed in float64. Without any number they are NaN.

    Gradient: dx = (dy - mean of dy - y * mean of dy y) / sqrt(var + eps). (Ioffe and Szegedy, "Batch normalization:
    accelerating deep network training by reducing internal covariate shift", ICML 2015, without scale and shift.)

    Args:
        eps: added to the variance, > 0.
    """

    eps: float = 1e-5
    n_aux: ClassVar[int] = 2
    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, x: Spec) -> tuple[Spec, Spec, Spec]:
        """(N, C, ...) -> (N, C, ...), (C), (C)."""
        _check_channels(self, x, 1)
        statistic = Spec((x.shape[1],), x.dtype)
        return x, statistic, statistic

    def forward(self, x: Array) -> tuple[Array, Array, Array]:
        """The mean, then the variance around it."""
        with np.errstate(all="ignore"):
            mean = _mean(x).astype(x.dtype)
            centred = x - _spread(mean, x.ndim)
            var = _mean(centred * centred).astype(x.dtype)
            return centred / np.sqrt(_spread(var, x.ndim) + x.dtype.type(self.eps)), mean, var

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """What the mean and the variance take away, scaled."""
        dy, y, var = grads[0], outputs[0], outputs[2]
        with np.errstate(all="ignore"):
            mean, slope = (_spread(_mean(a).astype(dy.dtype), dy.ndim) for a in (dy, dy * y))
            return np.asarray((dy - mean - y * slope) / np.sqrt(_spread(var, dy.ndim) + dy.dtype.type(self.eps)))

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The result and the variance."""
        return (), (0, 2)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A sum; a difference, a square and a sum; a product."""
        return 5 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class BatchNormTest(Op):
    """y = (x - mean) / sqrt(var + eps) with statistics that are handed in; dx = dy / sqrt(var + eps).

    Shapes: x (N, C, ...), mean (C), var (C) -> y like x. Only x has a gradient.

    Args:
        eps: added to the variance, > 0.
    """

    eps: float = 1e-5
    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, x: Spec, mean: Spec, var: Spec) -> Spec:
        """(N, C, ...), (C), (C) -> (N, C, ...)."""
        _check_channels(self, x, 1, mean=mean, variance=var)
        return x

    def forward(self, x: Array, mean: Array, var: Array) -> Array:
        """Shifted, then scaled."""
        return np.asarray((x - _spread(mean, x.ndim)) / np.sqrt(_spread(var, x.ndim) + x.dtype.type(self.eps)))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Scaled."""
        dy = grads[0]
        return dy / np.sqrt(_spread(inputs[2], dy.ndim) + dy.dtype.type(self.eps)), None, None

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The variance."""
        return (2,), ()

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The blob alone."""
        return (0,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A difference and a product an element."""
        return 2 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class MovingAverage(Op):
    """state' = fraction state + factor new, kept beyond the run. No gradient.

    Caffe's running statistics are three such states that start at 0: of the means, of the variances with the factor
    M / (M - 1), and of ones. The last is what the other two are to be divided by.

    Args:
        fraction: how much of the state stays.
        factor: how much of the new value is added.
    """

    fraction: float
    factor: float = 1.0
    updates: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, state: Spec, new: Spec) -> Spec:
        """Any shape, twice -> the same."""
        check_float(self, state)
        if new != state:
            raise ShapeError(f"{self.name}: the new value is {new}; expected {state}, as the state is.")
        return state

    def forward(self, state: Array, new: Array) -> Array:
        """The weighted sum."""
        number = state.dtype.type
        return np.asarray(number(self.fraction) * state + number(self.factor) * new)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Two products and a sum an element."""
        return 3 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class ScaleChannels(Op):
    """y = x s, with s spread along one axis; dx = dy s, and ds sums dy x over all other axes.

    Shapes: x (..., C, ...), s (C) -> y like x.

    Args:
        axis: the axis that s belongs to.
    """

    axis: int = 1
    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, x: Spec, s: Spec) -> Spec:
        """(..., C, ...), (C) -> (..., C, ...)."""
        _check_channels(self, x, self.axis, scale=s)
        return x

    def forward(self, x: Array, s: Array) -> Array:
        """The product, s broadcast."""
        return np.asarray(x * _spread(s, x.ndim, self.axis % x.ndim))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Dy s; dy x summed in float64 to (C)."""
        dy, (x, s) = grads[0], inputs
        axis = self.axis % dy.ndim
        ds = None
        if wanted[1]:
            rows = (math.prod(dy.shape[:axis]), dy.shape[axis], math.prod(dy.shape[axis + 1 :]))
            ds = (dy * x).reshape(rows).sum(axis=(0, 2), dtype=np.float64).astype(dy.dtype)
        return (dy * _spread(s, dy.ndim, axis) if wanted[0] else None), ds

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Both inputs."""
        return (0, 1), ()
