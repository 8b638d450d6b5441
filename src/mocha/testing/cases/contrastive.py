"""Cases of the contrastive loss: similar pairs and others, nearer than the margin and beyond, labels of each type."""

from __future__ import annotations

import numpy as np

from mocha.ops import Array, ContrastiveLoss
from mocha.testing.case import Case, Maker, fixed, labels


def _near_and_far(*shape: int) -> Maker:
    """Vectors whose lengths are about 0.5 or 3 in turn."""

    def make(rng: np.random.Generator) -> Array:
        x = rng.standard_normal(shape)
        x /= np.sqrt((x * x).reshape(shape[0], -1).sum(axis=1)).reshape(-1, *[1] * (len(shape) - 1))
        return x * np.where(np.arange(shape[0]) % 2, 3.0, 0.5).reshape(-1, *[1] * (len(shape) - 1))

    return make


def _zeros(*shape: int) -> Maker:
    return fixed(np.zeros(shape))


_SOME = fixed([0, 0, 1, 1, 0, 0, 1])
_SIMILAR = fixed([1, -1, 2, 1.5, -1.5, 1, 1])

CASES: list[Case] = [
    Case("similar pairs", ContrastiveLoss(1.5, weight=0.7), ((7, 4), (7, 4), _SIMILAR)),
    Case("legacy", ContrastiveLoss(1.5, legacy=True), (_near_and_far(7, 4), _zeros(7, 4), _SOME)),
    # 1e-4 in the denominator is not the true gradient's, which is seen beside differences
    Case("near and far", ContrastiveLoss(1.5), (_near_and_far(7, 4), _zeros(7, 4), _SOME), checked=()),
    Case("longer than a vector", ContrastiveLoss(9.0), ((3, 70), (3, 70), fixed([0, 1, 0])), checked=()),
    Case("images", ContrastiveLoss(9.0), ((3, 2, 3, 2), (3, 2, 3, 2), fixed([[0], [1], [0]])), checked=()),
    Case("far away, exact", ContrastiveLoss(1.0), (_near_and_far(8, 5), _zeros(8, 5), fixed([1, 0] * 4))),
    *(
        Case(
            f"labels {np.dtype(dtype)}",
            ContrastiveLoss(2.0),
            ((8, 3), (8, 3), labels(8, classes=3, dtype=dtype)),
            checked=(),
        )
        for dtype in (np.int32, np.int64, np.uint8)
    ),
    Case("labels with fractions", ContrastiveLoss(2.0), ((4, 3), (4, 3), fixed([0.9, -0.9, 1.1, np.nan])), checked=()),
    *(
        Case(
            f"equal vectors, at the margin, NaN, infinity, legacy {legacy}",
            ContrastiveLoss(1.0, legacy),
            (
                fixed([[0.0], [1.0], [np.nan], [np.inf], [0.0], [np.nan], [np.inf]]),
                _zeros(7, 1),
                fixed([0, 0, 0, 0, 1, 1, 1]),
            ),
            checked=(),
        )
        for legacy in (False, True)
    ),
    Case(
        "work for several threads",
        ContrastiveLoss(6.0),
        ((2000, 20), (2000, 20), labels(2000, classes=2)),
        checked=(),
    ),
    Case("no pairs", ContrastiveLoss(), ((0, 3), (0, 3), (0,)), checked=()),
    Case("empty vectors", ContrastiveLoss(), ((2, 0), (2, 0), fixed([0, 1])), checked=()),
]
"""The cases."""
