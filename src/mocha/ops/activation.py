"""More functions of one element: activations, bounds and steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_float
from mocha.ops.pointwise import FromInput, FromOutput, Indices, Unary


@dataclasses.dataclass(frozen=True)
class ELU(FromOutput):
    """y = x where x > 0, else alpha (e^x - 1); dx = dy or dy (y + alpha) likewise (x = 0 counts as negative).

    (Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units", ICLR
    2016.)

    Args:
        alpha: what the negative side tends to, with the sign turned; >= 0, so that the output's sign tells the input's.
    """

    alpha: float = 1.0

    def infer(self, x: Spec) -> Spec:
        """Any shape, kept."""
        if not self.alpha >= 0:
            raise ShapeError(f"{self.name}: alpha is {self.alpha:g}; expected a number >= 0.")
        return super().infer(x)

    def forward(self, x: Array) -> Array:
        """The exponential is taken of what is not positive, so that it overflows nowhere."""
        return np.where(x > 0, x, x.dtype.type(self.alpha) * (np.exp(np.minimum(x, x.dtype.type(0))) - 1))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """The gradient, shrunk where the output is not positive."""
        dy, y = grads[0], outputs[0]
        return np.where(y > 0, dy, dy * (y + dy.dtype.type(self.alpha)))


@dataclasses.dataclass(frozen=True)
class Softplus(FromInput):
    """y = ln(1 + e^x); dx = dy / (1 + e^-x). Neither overflows."""

    def forward(self, x: Array) -> Array:
        """max(x, 0) + ln(1 + e^-abs(x))."""
        return np.asarray(np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-np.abs(x))))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Over 1 + e^-abs(x) stands 1 for a positive input, else e^-abs(x)."""
        x = inputs[0]
        e = np.exp(-np.abs(x))
        return np.asarray(grads[0] * (np.where(x > 0, x.dtype.type(1), e) / (1 + e)))


@dataclasses.dataclass(frozen=True)
class Swish(FromInput):
    """y = x s with s = 1 / (1 + exp(-beta x)); dx = dy (beta y + s (1 - beta y)).

    An input for which s is 0 or 1 gives 0 or itself; -infinity, with a positive beta, gives NaN. (Ramachandran, Zoph
    and Le, "Searching for activation functions", 2017.)

    Args:
        beta: slope of the gate.
    """

    beta: float = 1.0

    def _gate(self, x: Array) -> Array:
        half = x.dtype.type(0.5)
        return np.asarray(half * np.tanh(half * (x.dtype.type(self.beta) * x)) + half)

    def forward(self, x: Array) -> Array:
        """The input times its gate."""
        with np.errstate(invalid="ignore"):
            return np.asarray(x * self._gate(x))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """By way of the gate, computed again."""
        x = inputs[0]
        with np.errstate(invalid="ignore"):
            s = self._gate(x)
            scaled = x.dtype.type(self.beta) * (x * s)
            return np.asarray(grads[0] * (scaled + s * (1 - scaled)))


@dataclasses.dataclass(frozen=True)
class Clip(FromInput):
    """y = min(max(x, low), high); dx = dy where low <= x <= high, else 0. NaN passes, its gradient is 0.

    Args:
        low: the smallest output.
        high: the largest output; it wins where it is below `low`.
    """

    low: float
    high: float

    def forward(self, x: Array) -> Array:
        """The input within its bounds."""
        return np.minimum(np.maximum(x, x.dtype.type(self.low)), x.dtype.type(self.high))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Pass within the bounds and on them."""
        x, dy = inputs[0], grads[0]
        inside = (x >= x.dtype.type(self.low)) & (x <= x.dtype.type(self.high))
        return np.where(inside, dy, dy.dtype.type(0))


@dataclasses.dataclass(frozen=True)
class Threshold(Unary):
    """y = 1 where x > threshold, else 0. NaN gives 0. No gradient.

    Args:
        threshold: the place of the step; itself below it.
    """

    threshold: float = 0.0

    def forward(self, x: Array) -> Array:
        """One comparison an element."""
        return np.asarray(x > x.dtype.type(self.threshold), x.dtype)


@dataclasses.dataclass(frozen=True)
class PReLU(Op):
    """y = x where x > 0, else slope x, with a slope that is learned: one a channel, or one for all.

    Shapes: x (N, C, ...), slope (C) along axis 1; or x of any shape, slope () -> y like x. dx = dy or dy slope
    likewise (x = 0 counts as negative); the gradient of the slope sums dy x over all that is not positive, in float64.
    (He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015.)
    """

    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, x: Spec, slope: Spec) -> Spec:
        """(N, C, ...), (C) or () -> (N, C, ...)."""
        check_float(self, x)
        if slope.dtype != x.dtype or slope.shape not in ((), x.shape[1:2]):
            channels = f" or {Spec(x.shape[1:2], x.dtype)}" if x.ndim > 1 else ""
            raise ShapeError(
                f"{self.name}: the slope is {slope}; expected {Spec((), x.dtype)}{channels} for an input of {x}."
            )
        return x

    @staticmethod
    def _spread(slope: Array, ndim: int) -> Array:
        return slope.reshape([-1 if i == 1 else 1 for i in range(ndim)]) if slope.ndim else slope

    def forward(self, x: Array, slope: Array) -> Array:
        """The input, times the slope where it is not positive."""
        with np.errstate(invalid="ignore"):
            return np.where(x > 0, x, self._spread(slope, x.ndim) * x)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """dy, times the slope where the input is not positive; there, dy x summed."""
        dy, (x, slope) = grads[0], inputs
        dx = ds = None
        with np.errstate(invalid="ignore"):
            if wanted[0]:
                dx = np.where(x > 0, dy, self._spread(slope, x.ndim) * dy)
            if wanted[1]:
                terms = np.where(x > 0, dy.dtype.type(0), dy * x)
                rows = (x.shape[0], x.shape[1], math.prod(x.shape[2:])) if slope.ndim else (1, 1, x.size)
                ds = np.asarray(terms.reshape(rows).sum(axis=(0, 2), dtype=np.float64), dy.dtype).reshape(slope.shape)
        return dx, ds

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Both inputs."""
        return (0, 1), ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A comparison and a product an element."""
        return 2 * inputs[0].size
