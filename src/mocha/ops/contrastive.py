"""A loss of pairs: what belongs together is drawn together, what does not is pushed apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_float, check_same

APART = 1e-4
"""What is added to a distance that the gradient divides by."""


@dataclasses.dataclass(frozen=True)
class ContrastiveLoss(Op):
    """loss = weight / (2 N) sum over the pairs of y d^2 + (1 - y) max(margin - d, 0)^2, d the distance of a and b.

    Hadsell, Chopra and LeCun, "Dimensionality reduction by learning an invariant mapping", CVPR 2006.

    Shapes: a (N, ...), b the same, y with N elements -> loss (), squared distances (N). A pair is similar, y = 1, where
    its label without the fraction is not 0. The legacy loss has max(margin - d^2, 0) for dissimilar pairs.

    da = dloss weight / N (a - b) for similar pairs. For dissimilar ones nearer than the margin it is
    -dloss weight / N (margin - d) / (d + 1e-4) (a - b), where 1e-4 keeps the quotient finite and the gradient is a
    little less than the true one; legacy -dloss weight / N (a - b). For those at the margin and beyond, and for those
    whose distance is NaN, it is 0. db = -da.

    Args:
        margin: the distance from which on dissimilar pairs cost nothing.
        legacy: hold the squared distance against the margin.
        weight: factor of the loss.
    """

    margin: float = 1.0
    legacy: bool = False
    weight: float = 1.0
    n_aux = 1
    gradient_by_design = "the quotient by a distance is kept finite"

    def infer(self, a: Spec, b: Spec, y: Spec) -> tuple[Spec, Spec]:
        """(N, ...), (N, ...), (N) -> (), (N)."""
        check_float(self, a)
        check_same(self, a, b)
        if not a.ndim or y.size != a.shape[0]:
            raise ShapeError(f"{self.name}: labels {y} for the pairs {a}; expected one label a pair.")
        return Spec((), a.dtype), Spec(a.shape[:1], a.dtype)

    def _similar(self, y: Array) -> Array:
        return np.asarray(np.trunc(y.reshape(-1)) != 0)

    def forward(self, a: Array, b: Array, y: Array) -> tuple[Array, Array]:
        """Distances and loss added up in float64."""
        with np.errstate(invalid="ignore"):
            difference = a - b
            axes = tuple(range(1, a.ndim))
            square = np.asarray(np.square(difference, dtype=np.float64).sum(axis=axes), a.dtype)
            margin = a.dtype.type(self.margin)
            left = np.maximum(margin - (square if self.legacy else np.sqrt(square)), 0)
            terms = np.where(self._similar(y), square, left if self.legacy else left * left)
        loss = self.weight / (2 * max(a.shape[0], 1)) * terms.sum(dtype=np.float64)
        return np.asarray(loss, a.dtype), square

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Each pair's difference times its factor."""
        a, b, y = inputs
        one, square = a.dtype.type(1), outputs[1]
        distance = np.sqrt(square)
        left = a.dtype.type(self.margin) - (square if self.legacy else distance)
        slope = one if self.legacy else left / (distance + a.dtype.type(APART))
        by_pair = np.where(self._similar(y), one, np.where(left > 0, -slope, a.dtype.type(0)))
        factor = by_pair * (grads[0] * a.dtype.type(self.weight / max(a.shape[0], 1)))
        factor = factor.reshape(-1, *[1] * (a.ndim - 1))
        with np.errstate(invalid="ignore"):
            da = np.where(factor == 0, a.dtype.type(0), (a - b) * factor)
        return da, (-da if wanted[1] else None), None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The inputs and the distances."""
        return (0, 1, 2), (1,)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The vectors, not the labels."""
        return (0, 1)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Difference, square and sum."""
        return 3 * inputs[0].size
