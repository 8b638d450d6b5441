"""Cases of the losses that look at two blobs element by element: lengths around vectors, ranks, clipped values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mocha.ops import (
    BinaryAccuracy,
    BinaryCrossEntropyLoss,
    GaussianKLLoss,
    HingeLoss,
    Op,
    Shape,
    SoftlabelSoftmaxLoss,
)
from mocha.testing.case import Case, Maker, between, fixed, labels, spoiled

# (about, first input, second input)
_PAIRS: list[tuple[str, Shape, Shape]] = [
    ("matrix", (4, 3), (4, 3)),
    ("longer than a vector", (1, 37), (1, 37)),
    ("image", (2, 3, 2, 2), (2, 3, 2, 2)),
    ("other rank, same size", (4, 3, 1, 1), (4, 3)),
    ("one axis", (5,), (5, 1)),
]


def _signs(*shape: int) -> Maker:
    """-1 and 1, a little blurred, so that a label's gradient is something too."""
    return lambda rng: np.asarray(rng.choice([-1.0, 1.0], shape) + 0.05 * rng.standard_normal(shape))


def _margins(*shape: int) -> Maker:
    """Scores that with labels of `_signs` are far from the corner: x y is not near 1."""
    return lambda rng: np.asarray(rng.choice([-2.0, -0.4, 0.4, 2.0], shape) + 0.05 * rng.standard_normal(shape))


def _pairs(op: Op, weighted: Op, first: Callable[..., Maker], second: Callable[..., Maker]) -> list[Case]:
    made = [Case(about, op, (first(*a), second(*b))) for about, a, b in _PAIRS]
    return [*made, Case("weight 0.3", weighted, (first(4, 5), second(4, 5)))]


def _unit(*shape: int) -> Maker:
    return between(0.1, 0.9, *shape)


def _normal(*shape: int) -> Maker:
    return lambda rng: np.asarray(rng.standard_normal(shape))


def _positive(*shape: int) -> Maker:
    return between(0.2, 2.0, *shape)


_SOFT: list[tuple[str, Shape, int]] = [
    ("matrix", (4, 5), 1),
    ("more classes than a vector", (3, 37), 1),
    ("one class", (3, 1), 1),
    ("image", (2, 4, 3, 2), 1),
    ("image wider than a vector", (2, 3, 5, 7), 1),
    ("axis 0", (4, 5), 0),
    ("axis 2", (2, 3, 4, 2), 2),
    ("axis -1", (2, 3, 4), -1),
]

_TYPES: tuple[npt.DTypeLike, ...] = (np.int32, np.int64, np.uint8)
_ODD = fixed([[np.nan, np.inf, -np.inf, 0.0, -0.0, 0.25]])

CASES: list[Case] = [
    *(
        Case(about, SoftlabelSoftmaxLoss(axis), (shape, between(0.0, 1.0, *shape)), checked=(0,))
        for about, shape, axis in _SOFT
    ),
    Case("weight 0.3", SoftlabelSoftmaxLoss(weight=0.3), ((4, 5), between(0.0, 1.0, 4, 5)), checked=(0,)),
    Case("labels that are 0", SoftlabelSoftmaxLoss(), ((4, 5), spoiled(between(0, 1, 4, 5), 0.0, 0, 6, 7, 8, 9))),
    Case(
        "scores of 1e4 and infinity",
        SoftlabelSoftmaxLoss(),
        (fixed([[1e4, -1e4, 0.0], [0.0, -np.inf, 1.0]]), fixed([[0.2, 0.3, 0.5], [0.5, 0.0, 0.5]])),
        checked=(),
    ),
    *_pairs(BinaryCrossEntropyLoss(), BinaryCrossEntropyLoss(0.3), _unit, _unit),
    *_pairs(HingeLoss(), HingeLoss(0.3), _margins, _signs),
    *_pairs(GaussianKLLoss(), GaussianKLLoss(0.3), _normal, _positive),
    Case(
        "certain and clipped",
        BinaryCrossEntropyLoss(),
        (fixed([[0.0, 1.0, 0.0, 1.0, 1e-30, -0.5, 1.5]]), fixed([[0.0, 1.0, 1.0, 0.0, 1.0, 0.5, 0.5]])),
        checked=(),
    ),
    Case("at the corner", HingeLoss(), (fixed([[1.0, -1.0, 2.0, 0.0]]), fixed([[1.0, -1.0, 0.5, 1.0]])), checked=()),
    Case("clipped", GaussianKLLoss(), (fixed([[0.0, 1.0, 2.0]]), fixed([[0.0, 1e-30, -1.0]])), checked=()),
    *(
        Case(f"{place} is odd", op, (odd, fixed([[1.0] * 6])) if place == "first" else (fixed([[1.0] * 6]), odd), ())
        for op, odd in ((BinaryCrossEntropyLoss(), _ODD), (HingeLoss(), _ODD), (GaussianKLLoss(), _ODD))
        for place in ("first", "second")
    ),
    *(Case(about, BinaryAccuracy(), (a, b)) for about, a, b in _PAIRS),
    Case("threshold 0.5", BinaryAccuracy(0.5), (between(0, 1, 4, 7), labels(4, 7, classes=2))),
    *(
        Case(
            f"labels {np.dtype(kind)}", BinaryAccuracy(0.5), (between(0, 1, 4, 7), labels(4, 7, classes=2, dtype=kind))
        )
        for kind in _TYPES
    ),
    Case("on the threshold, NaN", BinaryAccuracy(0.25), (_ODD, fixed([[1.0, 1.0, 1.0, 0.25, 0.25, 0.0]]))),
]
"""The cases."""
