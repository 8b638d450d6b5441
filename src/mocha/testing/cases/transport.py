"""Cases of the loss of transport.

Its gradient is that of another function, the regularised cost, and so is not held against differences of the loss.
"""

from __future__ import annotations

import numpy as np

from mocha.ops import GroundMetric, WassersteinLoss
from mocha.testing.case import Case, Maker, fixed


def _distributions(n: int, *bins: int) -> Maker:
    def make(rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        x = rng.uniform(0.1, 1.0, (n, *bins))
        return np.asarray(x / x.sum(axis=tuple(range(1, x.ndim)), keepdims=True))

    return make


def _line(rows: int, columns: int) -> GroundMetric:
    """Bins along a line; what moving costs is how far."""
    return GroundMetric.of(abs(np.linspace(0, 1, rows)[:, None] - np.linspace(0, 1, columns)))


CASES: list[Case] = [
    Case("square metric", WassersteinLoss(_line(5, 5), 3.0), (_distributions(4, 5), _distributions(4, 5)), checked=()),
    Case(
        "other bins in the label",
        WassersteinLoss(_line(5, 3), 8.0, 20),
        (_distributions(4, 5), _distributions(4, 3)),
        checked=(),
    ),
    Case(
        "images",
        WassersteinLoss(_line(6, 6), 3.0, 3),
        (_distributions(2, 1, 3, 2), _distributions(2, 6)),
        checked=(),
    ),
    Case(
        "empty bins",
        WassersteinLoss(_line(3, 3), 3.0),
        (fixed([[0.0, 0.5, 0.5], [0.0, 1.0, 0.0]]), fixed([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])),
        checked=(),
    ),
]
"""The cases."""
