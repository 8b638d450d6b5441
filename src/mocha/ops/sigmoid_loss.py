"""The cross entropy of sigmoids: each score is a yes-or-no question of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_float
from mocha.ops.labels import check_divisor, divide_by
from mocha.ops.pointwise import Sigmoid


@dataclasses.dataclass(frozen=True)
class SigmoidCrossEntropyLoss(Op):
    """loss = -weight / M sum of t ln s + (1 - t) ln(1 - s), s = sigmoid(x), for scores x and targets t.

    It is computed as the sum of ln(1 + e^-abs(x)) - x (t - [x >= 0]), so that no score overflows or gives an infinite
    loss; targets are any numbers. An infinite score gives NaN where it is right, infinity where it is wrong.

    Shapes: x (N, ...), t with as many elements and the same N -> loss (). M is N, unless `divisor` says otherwise;
    each element is a position. dx = dloss weight / M (s - t); the targets have no gradient.

    Elements whose target without its fraction is `ignore` add nothing to the loss, and their gradients are 0. For 0
    these are all targets between -1 and 1.

    Args:
        weight: factor of the loss.
        ignore: a whole number, or None for none.
        divisor: what the sum is divided by, one of "positions", "counted", "examples", "one"; see `mocha.ops.labels`.
    """

    weight: float = 1.0
    ignore: int | None = None
    divisor: str = "examples"

    def infer(self, x: Spec, t: Spec) -> Spec:
        """(N, ...), (N, ...) -> ()."""
        check_float(self, x)
        if x.dtype != t.dtype or x.size != t.size or not x.ndim or x.shape[:1] != t.shape[:1]:
            raise ShapeError(f"{self.name}: scores {x} and targets {t}; expected the same examples, size and type.")
        check_divisor(self, self.divisor)
        return Spec((), x.dtype)

    def _counted(self, t: Array) -> Array:
        """Which elements are not ignored."""
        return np.ones(t.shape, bool) if self.ignore is None else np.trunc(t) != self.ignore

    def _scale(self, x: Array, counted: Array) -> float:
        return self.weight / divide_by(self.divisor, x.size, int(np.count_nonzero(counted)), x.shape[0])

    def forward(self, x: Array, t: Array) -> Array:
        """Added up in float64."""
        t = t.reshape(x.shape)
        counted = self._counted(t)
        with np.errstate(invalid="ignore"):
            terms = np.log(1 + np.exp(-np.abs(x))) - x * (t - (x >= 0))
        return np.asarray(self._scale(x, counted) * terms[counted].sum(dtype=np.float64), x.dtype)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Weight / M (sigmoid(x) - t), and 0 where targets are ignored."""
        x, t = inputs[0], inputs[1].reshape(inputs[0].shape)
        counted = self._counted(t)
        factor = grads[0] * x.dtype.type(self._scale(x, counted))
        return np.where(counted, (Sigmoid().forward(x) - t) * factor, x.dtype.type(0)), None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """Both inputs."""
        return (0, 1), ()

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The scores, not the targets."""
        return (0,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """An exponential, a logarithm and some arithmetic an element."""
        return 8 * inputs[0].size
