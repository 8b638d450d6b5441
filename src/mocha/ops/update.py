"""What happens to a gradient on its way into a parameter, and the steps that the solvers take.

Each op of this family stands for one parameter. The graph chains them, ``clip -> decay -> step``, and a backend runs
the chain in one pass over memory. Gradient first, so that the chain reads as a pipe. Steps and constraints overwrite
the parameter (and the solver's state) in place: see `Op.updates`.

The rates are float64 scalars of the parameter block; the arithmetic is in the parameter's own type.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_float, check_same


@dataclasses.dataclass(frozen=True)
class GlobalNorm(Op):
    """norm = the square root of the sum of squares over all elements of all inputs, a float64 scalar."""

    def infer(self, *grads: Spec) -> Spec:
        """Any shapes -> ()."""
        for grad in grads:
            check_float(self, grad)
        return Spec((), np.dtype(np.float64))

    def forward(self, *grads: Array) -> Array:
        """Summed in float64, gradient by gradient."""
        total = 0.0
        for grad in grads:
            flat = grad.reshape(-1).astype(np.float64, copy=False)
            total += float(np.dot(flat, flat))
        return np.asarray(math.sqrt(total) if total == total else total, np.float64)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A product and a sum an element."""
        return 2 * sum(x.size for x in inputs)


class _OnGradient(Op):
    """Gradient in, gradient out, in the gradient's memory."""

    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)


@dataclasses.dataclass(frozen=True)
class ClipByNorm(_OnGradient):
    """g' = g threshold / norm where norm > threshold, else g: a step in the same direction, bounded (as Caffe clips).

    Args:
        threshold: largest global norm, > 0.
    """

    threshold: float

    def infer(self, g: Spec, norm: Spec) -> Spec:
        """Any shape and the global norm () -> the shape."""
        check_float(self, g)
        if norm.size != 1:
            raise ShapeError(f"{self.name}: the norm is {norm}; expected a scalar.")
        return g

    def forward(self, g: Array, norm: Array) -> Array:
        """Scaled down, or as it was."""
        return g * g.dtype.type(self.threshold / float(norm)) if float(norm) > self.threshold else g


@dataclasses.dataclass(frozen=True)
class _Decay(_OnGradient):
    """Adds the gradient of a penalty on the parameter.

    Args:
        coef: weight of the penalty: the regularizer's own times the solver's.
    """

    coef: float

    def infer(self, g: Spec, w: Spec) -> Spec:
        """Gradient and parameter of one shape."""
        check_float(self, g)
        check_same(self, g, w)
        return g

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A product and a sum an element."""
        return 2 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class L2Decay(_Decay):
    """g' = g + 2 coef w, the gradient of coef |w|^2 (Mocha's factor 2: twice Caffe's decay for the same number)."""

    def forward(self, g: Array, w: Array) -> Array:
        """Pull towards zero in proportion."""
        return np.asarray(g + g.dtype.type(2 * self.coef) * w)


@dataclasses.dataclass(frozen=True)
class L1Decay(_Decay):
    """g' = g + coef sign(w), the gradient of coef sum |w|, with sign(0) = 0."""

    def forward(self, g: Array, w: Array) -> Array:
        """Pull towards zero with constant strength."""
        return np.asarray(g + g.dtype.type(self.coef) * np.sign(w))


class _Step(Op):
    """A step of a solver: writes the parameter and one velocity of its shape."""

    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ()
    updates: ClassVar[tuple[tuple[int, int], ...]] = ((0, 1), (1, 2))

    def infer(self, g: Spec, w: Spec, v: Spec, *rates: Spec) -> tuple[Spec, Spec]:
        """Gradient, parameter and velocity of one shape, and the scalars -> parameter and velocity."""
        check_float(self, g)
        check_same(self, g, w, v)
        return w, v


@dataclasses.dataclass(frozen=True)
class SgdStep(_Step):
    """v' = momentum v - local_rate rate g; w' = w + v' (Mocha's and Caffe's stochastic gradient descent).

    Inputs: g, w, v, rate (), momentum ().

    Args:
        local_rate: the parameter's own multiple of the learning rate.
    """

    local_rate: float = 1.0

    def forward(self, g: Array, w: Array, v: Array, rate: Array, momentum: Array) -> tuple[Array, Array]:
        """One step."""
        v = g.dtype.type(momentum) * v - g.dtype.type(self.local_rate * float(rate)) * g
        return w + v, v

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Two products, a difference and a sum an element."""
        return 4 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class NesterovStep(_Step):
    """v' = m1 v - local_rate rate g; w' = w - m1 v + (1 + m2) v'.

    Inputs: g, w, v, rate (), m1 (): the last iteration's momentum, m2 (): this iteration's. The parameter is kept at
    the point looked ahead to (Bengio, Boulanger-Lewandowski and Pascanu, "Advances in optimizing recurrent networks",
    2012, eq. 7).

    Args:
        local_rate: the parameter's own multiple of the learning rate.
    """

    local_rate: float = 1.0

    def forward(self, g: Array, w: Array, v: Array, rate: Array, m1: Array, m2: Array) -> tuple[Array, Array]:
        """One step."""
        carried = g.dtype.type(m1) * v
        v = carried - g.dtype.type(self.local_rate * float(rate)) * g
        return w - carried + g.dtype.type(1 + float(m2)) * v, v

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Three products and three sums an element."""
        return 6 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class L2NormConstraint(Op):
    """Each row of w longer than the threshold is shortened to it, every so many iterations.

    Inputs: w, iteration (). A row is all that belongs to one index of axis 0 (one filter, one unit); a parameter of
    one axis, or with one index only, is a single row.

    Args:
        threshold: largest Euclidean norm, > 0.
        every: the constraint acts where the iteration is a multiple of it, >= 1.
    """

    threshold: float
    every: int = 1
    updates: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, w: Spec, iteration: Spec) -> Spec:
        """Any shape, kept."""
        check_float(self, w)
        return w

    def forward(self, w: Array, iteration: Array) -> Array:
        """Scale down the long rows."""
        if int(iteration) % self.every:
            return w
        rows = w.reshape(1 if w.ndim < 2 else w.shape[0], -1)
        norm = np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
        factor = np.where(norm > self.threshold, self.threshold / np.maximum(norm, self.threshold), 1.0)
        return (rows * factor.astype(w.dtype)).reshape(w.shape)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A square, a sum and a product an element."""
        return 3 * inputs[0].size
