"""The loss layer of optimal transport."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mocha import ops
from mocha.graph import Graph, Value
from mocha.layers.base import number, positive_int
from mocha.layers.loss import MinimisedLayer


class WassersteinLossLayer(MinimisedLayer):
    """loss = 1 / N sum of what it costs to move each prediction onto its label, by entropy-regularised transport.

    Shapes: prediction (N, ...) of R numbers an example, label (N, ...) of S; each example is a distribution: numbers
    >= 0 with the sum 1, as a `SoftmaxLayer` gives them.

    The gradient is the dual potential ln(u) / (lambda N) of the regularised problem, as in Mocha.jl, and not the
    derivative of the cost that is reported; see `mocha.ops.WassersteinLoss`. The label gets none. There is no weight:
    a larger metric is a larger loss.

    Args:
        M: the ground metric, an R x S matrix of what it costs to move from a bin of the prediction to one of the label.
        lambda_: Mocha's `lambda`, which is a reserved word in Python: how sharp the transport is, > 0. The product with
            the largest cost should stay below 700.
        sinkhorn_iter: iterations of Sinkhorn's algorithm, >= 1.

    Examples:
        >>> moves = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
        >>> loss = WassersteinLossLayer(M=moves, lambda_=50, bottoms=["p", "label"])
        >>> near = run_layers(loss, p=[[0, 1, 0]], label=[[1, 0, 0]])["wasserstein-loss"]
        >>> far = run_layers(loss, p=[[0, 0, 1]], label=[[1, 0, 0]])["wasserstein-loss"]
        >>> round(near, 3), round(far, 3)
        (1.0, 2.0)
    """

    name: str = "wasserstein-loss"
    reported = "wasserstein-loss"
    M: npt.ArrayLike
    lambda_: float
    sinkhorn_iter: int = 50

    def check(self) -> None:
        """Property by property."""
        try:
            metric = np.array(self.M, np.float64)
        except (TypeError, ValueError):
            metric = np.array(np.nan)
        if metric.ndim != 2 or not metric.size or not np.isfinite(metric).all():
            self.wrong("M", self.M, "a matrix of finite numbers, a row for each bin of the prediction")
        metric.flags.writeable = False
        self.settle("M", metric)
        number(self, "lambda_")
        if self.lambda_ == 0:
            self.wrong("lambda_", self.lambda_, "a number > 0")
        positive_int(self, "sinkhorn_iter")

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        op = ops.WassersteinLoss(ops.GroundMetric.of(self.M), float(self.lambda_), self.sinkhorn_iter)
        self.minimise(g, g(op, *inputs), inputs[0].shape[0])
        return []
