"""A loss that measures what it costs to move one distribution onto another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Shape, Spec, check_float
from mocha.ops.loss import LEAST


@dataclasses.dataclass(frozen=True)
class GroundMetric:
    """What moving costs: one number for each pair of a bin of the prediction and a bin of the label.

    Args:
        numbers: the costs in row-major order.
        shape: (bins of the prediction, bins of the label).
    """

    numbers: tuple[float, ...]
    shape: Shape

    @classmethod
    def of(cls, array: npt.ArrayLike) -> GroundMetric:
        """The costs that an array holds."""
        numbers = np.asarray(array, np.float64)
        return cls(tuple(numbers.reshape(-1).tolist()), numbers.shape)

    def array(self) -> Array:
        """The costs as an array of float64."""
        return np.array(self.numbers, np.float64).reshape(self.shape)

    def __str__(self) -> str:
        return "x".join(map(str, self.shape))


@dataclasses.dataclass(frozen=True)
class WassersteinLoss(Op):
    """loss = 1 / N sum of <T, M>, T the entropy-regularised optimal transport of each prediction onto its label.

    Shapes: prediction a (N, ...) of R numbers an example, label b (N, ...) of S, both distributions; the metric M is
    (R, S) -> loss (), potential (N, R).

    By Sinkhorn's iteration in float64: K = exp(-lambda M), u = 1 / R; `iterations` times u = a / (K (b / (K' u))); then
    v = b / (K' u), and T = diag(u) K diag(v) (Cuturi, "Sinkhorn distances: lightspeed computation of optimal
    transport", NIPS 2013). The second output is the potential ln(max(u, 1e-20)) / lambda.

    da = dloss / N potential. That is the gradient of the regularised problem, up to a constant for each example, and
    *not* the derivative of the loss that is reported: <T, M> lacks the entropy. Differences of the loss do not agree
    with it (Frogner, Zhang, Mobahi, Araya and Poggio, "Learning with a Wasserstein loss", NIPS 2015). The constant
    does not matter behind a softmax, which keeps the sum. The label has no gradient.

    A product lambda M above 700 makes K 0, and loss and gradient NaN where a bin can be reached by no other way.

    Args:
        metric: `GroundMetric` of M.
        sharpness: lambda > 0: the larger, the nearer is T to the optimal transport, and the more iterations it takes.
        iterations: how many.
    """

    metric: GroundMetric
    sharpness: float
    iterations: int = 50
    n_aux = 1
    gradient_by_design = "the gradient is the dual potential"

    def infer(self, a: Spec, b: Spec) -> tuple[Spec, Spec]:
        """(N, R...), (N, S...) -> (), (N, R)."""
        check_float(self, a)
        n = a.shape[0] if a.ndim else 0
        rows, columns = self.metric.shape
        fits = a.ndim > 0 and a.shape[:1] == b.shape[:1] and (a.size, b.size) == (n * rows, n * columns)
        if a.dtype != b.dtype or not fits:
            raise ShapeError(
                f"{self.name}: prediction {a} and label {b} with a metric of {rows}x{columns}; expected as many "
                f"examples of {rows} and of {columns} numbers, and one type."
            )
        return Spec((), a.dtype), Spec((n, rows), a.dtype)

    def forward(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Sinkhorn's iteration for the examples as columns."""
        n, metric = max(a.shape[0], 1), self.metric.array()
        columns_a = a.reshape(a.shape[0], metric.shape[0]).astype(np.float64).T
        columns_b = b.reshape(b.shape[0], metric.shape[1]).astype(np.float64).T
        kernel = np.exp(-self.sharpness * metric)
        u = np.full(columns_a.shape, 1 / metric.shape[0])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for _ in range(self.iterations):
                u = columns_a / (kernel @ (columns_b / (kernel.T @ u)))
            v = columns_b / (kernel.T @ u)
            loss = np.sum(u * ((kernel * metric) @ v)) / n
            potential = np.log(np.maximum(u, LEAST)) / self.sharpness
        return np.asarray(loss, a.dtype), np.ascontiguousarray(potential.T, a.dtype)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """The potential / N."""
        potential = outputs[1]
        factor = grads[0] / potential.dtype.type(max(potential.shape[0], 1))
        return (potential * factor).reshape(inputs[0].shape), None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The potential."""
        return (), (1,)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The prediction, not the label."""
        return (0,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Two products with the metric's size an iteration."""
        return 4 * (self.iterations + 1) * len(self.metric.numbers) * inputs[0].shape[0]
