"""Softmax: scores become a distribution."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mocha.ops.base import Array, Op, Spec, check_axis, check_float


@dataclasses.dataclass(frozen=True)
class Softmax(Op):
    """y = exp(x - max) / sum of it along one axis; dx = y (dy - sum of dy y along the axis).

    The maximum is subtracted first, so that nothing overflows. A slice that holds NaN or +infinity becomes NaN.

    Args:
        axis: the axis of the classes.
    """

    axis: int = 1
    overwrites = ((0, 0),)

    def infer(self, x: Spec) -> Spec:
        """(..., C, ...), kept."""
        check_float(self, x)
        check_axis(self, self.axis, x)
        return x

    def forward(self, x: Array) -> Array:
        """The distribution along the axis."""
        with np.errstate(invalid="ignore"):
            e = np.exp(x - x.max(axis=self.axis, keepdims=True))
            return np.asarray(e / e.sum(axis=self.axis, keepdims=True))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Y (dy - sum of dy y)."""
        dy, y = grads[0], outputs[0]
        return np.asarray(y * (dy - (dy * y).sum(axis=self.axis, keepdims=True)))

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The output alone."""
        return (), (0,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Maximum, difference, exponential, sum and quotient."""
        return 5 * inputs[0].size
