"""Normalisation of each row by its own statistics: mean and deviation, or length."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha.ops.base import Array, Op, Spec, check_axis, check_float
from mocha.ops.pointwise import Indices


@dataclasses.dataclass(frozen=True)
class Standardize(Op):
    """y = (x - mean) / (deviation + eps), with mean and deviation of each row; the divisors are the second output.

    Shapes: x -> y like x, divisors x.shape[:axis]. A row is what lies behind the first `axis` axes: D numbers. The
    deviation is the root of the mean of (x - mean)^2, not corrected by D / (D - 1); both means are summed in float64.
    Without `scaled`, y = x - mean and the divisors are 1. Without any number, mean and divisor are NaN.

    Gradient: dx = (dy - mean of dy - y * mean of dy y) / divisor; without `scaled`, dx = dy - mean of dy. The slope of
    the deviation is taken as y / D, as if eps were 0 there: where eps counts, that is a little less than it is, and it
    stays finite for a row of equal numbers. Caffe does the same.

    Args:
        axis: the first axis of a row.
        eps: added to the deviation, > 0; not under the root.
        scaled: whether to divide.
    """

    axis: int = 1
    eps: float = 1e-9
    scaled: bool = True
    n_aux: ClassVar[int] = 1
    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        """(..., rest) -> (..., rest), (...)."""
        check_float(self, x)
        return x, Spec(x.shape[: check_axis(self, self.axis, x)], x.dtype)

    def rows(self, x: Spec | Array) -> tuple[int, int]:
        """How many rows there are, and how long they are."""
        axis = self.axis % len(x.shape)
        return math.prod(x.shape[:axis]), math.prod(x.shape[axis:])

    @staticmethod
    def _mean(rows: Array) -> Array:
        """The mean of each row, in the rows' type."""
        total = rows.sum(axis=1, keepdims=True, dtype=np.float64)
        return np.asarray(total / np.float64(rows.shape[1]), rows.dtype)

    def forward(self, x: Array) -> tuple[Array, Array]:
        """The mean, then the deviation around it."""
        rows, number = x.reshape(self.rows(x)), x.dtype.type
        with np.errstate(all="ignore"):
            y = rows - self._mean(rows)
            divisors = np.ones((rows.shape[0], 1), x.dtype)
            if self.scaled:
                divisors = np.sqrt(self._mean(y * y)) + number(self.eps)
                y /= divisors
        return y.reshape(x.shape), divisors.reshape(x.shape[: self.axis % x.ndim])

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """What the mean and the deviation take away, scaled."""
        dy = grads[0].reshape(self.rows(grads[0]))
        with np.errstate(all="ignore"):
            dx = dy - self._mean(dy)
            if self.scaled:
                y = outputs[0].reshape(dy.shape)
                dx = (dx - y * self._mean(dy * y)) / outputs[1].reshape(-1, 1)
        return np.asarray(dx.reshape(grads[0].shape))

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The result and the divisors, if it was divided."""
        return (), ((0, 1) if self.scaled else ())

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A sum; a difference; a square, a sum and a quotient."""
        return (5 if self.scaled else 2) * inputs[0].size


@dataclasses.dataclass(frozen=True)
class L2Normalize(Op):
    """y = x / length, length = sqrt(sum of x^2 along an axis + eps); the lengths are the second output.

    Shapes: x (..., C, ...) -> y like x, lengths (..., 1, ...). The squares are taken and summed in float64. Gradient:
    dx = (dy - y * sum of dy y) / length. (Liu, Rabinovich and Berg, "ParseNet: looking wider to see better", 2015.)

    Args:
        axis: the axis of what gets the length 1: the channels of each position, or all of an example once it is
            reshaped to (N, D).
        eps: added to the sum, >= 0, under the root. With 0, zeros give NaN.
    """

    axis: int = 1
    eps: float = 1e-10
    n_aux: ClassVar[int] = 1
    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        """(..., C, ...) -> (..., C, ...), (..., 1, ...)."""
        check_float(self, x)
        axis = check_axis(self, self.axis, x)
        return x, Spec((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)

    def forward(self, x: Array) -> tuple[Array, Array]:
        """The lengths, then the quotient."""
        with np.errstate(all="ignore"):
            squares = np.square(x, dtype=np.float64).sum(axis=self.axis, keepdims=True)
            length = np.sqrt(squares + self.eps).astype(x.dtype)
            return x / length, length

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Without the part along y, which would change the length."""
        dy, (y, length) = grads[0], outputs
        with np.errstate(all="ignore"):
            along = (dy * y).sum(axis=self.axis, keepdims=True, dtype=np.float64).astype(dy.dtype)
            return np.asarray((dy - y * along) / length)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The result and the lengths."""
        return (), (0, 1)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A square, a sum and a quotient."""
        return 3 * inputs[0].size
