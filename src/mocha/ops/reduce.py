"""Reductions: many elements become one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mocha.ops.base import Array, Op, Shape, Spec, check_axis, check_float


@dataclasses.dataclass(frozen=True)
class _Reduce(Op):
    """Reduces the named axes away; without any named, all of them, to a scalar.

    An empty set of elements sums to 0 and has the mean NaN.

    Args:
        axes: the axes that go; empty for all.
        keep: leave each as an axis of extent 1.
    """

    axes: Shape = ()
    keep: bool = False

    def _gone(self, x: Spec) -> Shape:
        return tuple(sorted({check_axis(self, a, x) for a in self.axes})) if self.axes else tuple(range(x.ndim))

    def infer(self, x: Spec) -> Spec:
        """Any shape -> the same without the axes."""
        check_float(self, x)
        gone = self._gone(x)
        shape = [1 if i in gone else n for i, n in enumerate(x.shape) if self.keep or i not in gone]
        return Spec(tuple(shape), x.dtype)

    def _spread(self, dy: Array, x: Spec | Array) -> Array:
        """The gradient of a sum: dy for each element that went into it."""
        spec = Spec(tuple(x.shape), x.dtype)
        gone = self._gone(spec)
        shape = [1 if i in gone else n for i, n in enumerate(spec.shape)]
        return np.broadcast_to(dy.reshape(shape), spec.shape)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """One operation an element."""
        return inputs[0].size


@dataclasses.dataclass(frozen=True)
class ReduceSum(_Reduce):
    """y = the sum over the axes."""

    def forward(self, x: Array) -> Array:
        """The sum."""
        return np.asarray(x.sum(axis=self._gone(Spec.of(x)), keepdims=self.keep), x.dtype)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """dy for each element."""
        return self._spread(grads[0], inputs[0]).copy()

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """Nothing but the shape."""
        return (), ()


@dataclasses.dataclass(frozen=True)
class ReduceMean(_Reduce):
    """y = the mean over the axes."""

    def forward(self, x: Array) -> Array:
        """The mean."""
        with np.errstate(invalid="ignore"):
            return np.asarray(
                x.sum(axis=self._gone(Spec.of(x)), keepdims=self.keep) / x.dtype.type(self._count(x)), x.dtype
            )

    def _count(self, x: Array | Spec) -> int:
        return math.prod(x.shape[a] for a in self._gone(Spec(tuple(x.shape), x.dtype)))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Dy / count for each element."""
        return self._spread(grads[0], inputs[0]) / grads[0].dtype.type(self._count(inputs[0]))

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """Nothing but the shape."""
        return (), ()


@dataclasses.dataclass(frozen=True)
class ReduceSumOfSquares(_Reduce):
    """y = the sum of squares over the axes."""

    def forward(self, x: Array) -> Array:
        """The sum of the squares."""
        return np.asarray((x * x).sum(axis=self._gone(Spec.of(x)), keepdims=self.keep), x.dtype)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """2 x dy."""
        x = inputs[0]
        return x.dtype.type(2) * x * self._spread(grads[0], x)

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The input."""
        return (0,), ()
