"""Cases of the losses and the measure of all scores of a position: where the classes lie, what is ignored, ties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mocha.ops import InfogainLoss, MulticlassHingeLoss, RankAccuracy, Shape
from mocha.ops.labels import DIVISORS
from mocha.testing.case import Case, Maker, apart, between, coarse, fixed, labels, spoiled

# (about, scores, axis, labels, type of the labels)
_LABELLED: list[tuple[str, Shape, int, Shape, npt.DTypeLike]] = [
    ("matrix", (40, 5), 1, (40,), np.float64),
    ("labels int32", (8, 5), 1, (8, 1), np.int32),
    ("labels int64", (8, 5), 1, (8,), np.int64),
    ("labels uint8", (8, 5), 1, (8,), np.uint8),
    ("one class", (3, 1), 1, (3,), np.float64),
    ("more classes than a vector", (3, 37), 1, (3,), np.float64),
    ("image wider than a vector", (2, 3, 5, 7), 1, (2, 1, 5, 7), np.float64),
    ("axis 0", (4, 5), 0, (5,), np.float64),
    ("axis 2", (2, 3, 4, 2), 2, (2, 3, 2), np.float64),
    ("axis -1", (2, 3, 4), -1, (2, 3), np.float64),
]


def _infogain() -> list[Case]:
    cases = []
    for about, shape, axis, places, dtype in _LABELLED:
        classes = shape[axis]
        made = (shape, labels(*places, classes=classes, dtype=dtype), between(-0.5, 1.0, classes, classes))
        cases.append(Case(about, InfogainLoss(axis, 0.7), made, checked=(0,)))
        for divisor in DIVISORS:
            op = InfogainLoss(axis, ignore=0, divisor=divisor)
            cases.append(Case(f"ignore 0, {divisor}, {about}", op, made, checked=(0,)))
        more = (shape, labels(*places, classes=classes + 1, dtype=dtype), made[2])
        op = InfogainLoss(axis, ignore=classes)
        cases.append(Case(f"ignore a label that is no class, {about}", op, more, checked=(0,)))
    return cases


def _margins(*shape: int) -> Maker:
    """Scores far from the corners at -1 and 1."""
    return lambda rng: np.asarray(rng.choice([-2.0, -0.4, 0.4, 2.0], shape) + 0.05 * rng.standard_normal(shape))


# (about, scores, labels, type of the labels)
_EXAMPLES: list[tuple[str, Shape, Shape, npt.DTypeLike]] = [
    ("matrix", (6, 5), (6,), np.float64),
    ("labels int32", (6, 5), (6, 1), np.int32),
    ("labels int64", (6, 5), (6,), np.int64),
    ("labels uint8", (6, 5), (6,), np.uint8),
    ("one class", (3, 1), (3,), np.float64),
    ("one axis", (3,), (3,), np.float64),
    ("more classes than a vector", (9, 37), (9,), np.float64),
    ("the elements of an image", (3, 2, 3, 2), (3, 1, 1, 1), np.float64),
]

_ODD = [[np.nan, np.inf, -np.inf, 0.0, -1.0, 1.0]]


def _hinge() -> list[Case]:
    cases = []
    for norm in (1, 2):
        for about, shape, places, dtype in _EXAMPLES:
            classes = int(np.prod(shape[1:]))
            made = (_margins(*shape), labels(*places, classes=classes, dtype=dtype))
            cases.append(Case(f"{about}, norm {norm}", MulticlassHingeLoss(norm, 0.7), made, checked=(0,)))
        for label in range(6):
            op = MulticlassHingeLoss(norm)
            cases.append(Case(f"corners, label {label}, norm {norm}", op, (fixed(_ODD), fixed([label])), checked=()))
    cases.append(Case("no examples", MulticlassHingeLoss(), ((0, 3), (0,)), checked=()))
    return cases


def _rank() -> list[Case]:
    cases = []
    for about, shape, axis, places, dtype in _LABELLED:
        classes = shape[axis]
        made = (apart(*shape), labels(*places, classes=classes, dtype=dtype))
        cases.append(Case(about, RankAccuracy(axis=axis), made))
        cases.append(Case(f"the best, but ignore 1, {about}", RankAccuracy(max(classes // 2, 1), axis, 1), made))
        more = (apart(*shape), labels(*places, classes=classes + 1, dtype=dtype))
        cases.append(Case(f"ignore a label that is no class, {about}", RankAccuracy(1, axis, classes), more))
    return cases


CASES: list[Case] = [
    *_infogain(),
    Case(
        "gains (1, 1, C, C), scores of 1e4, NaN",
        InfogainLoss(),
        (fixed([[1e4, -1e4], [np.nan, 0.0], [0.0, 1.0]]), fixed([0, 1, 1]), fixed([[[[1.0, 0.5], [0.25, 1.0]]]])),
        checked=(),
    ),
    Case(
        "an ignored pixel of NaN",
        InfogainLoss(ignore=0),
        (fixed([[[np.nan, 1.0], [0.0, 2.0]]]), fixed([0, 1]), fixed(np.eye(2))),
        checked=(),
    ),
    Case("no examples", InfogainLoss(), ((0, 3), (0,), (3, 3)), checked=()),
    *_hinge(),
    *_rank(),
    *(
        Case("work for several threads", op, ((6000, 5), labels(6000, classes=5), *gains), checked=())
        for op, gains in (
            (InfogainLoss(ignore=2), [between(-0.5, 1.0, 5, 5)]),
            (MulticlassHingeLoss(), []),
            (RankAccuracy(2, ignore=1), []),
        )
    ),
    Case(
        "an image for several threads",
        InfogainLoss(ignore=1),
        ((2, 3, 160, 150), labels(2, 160, 150, classes=3), between(-0.5, 1.0, 3, 3)),
        checked=(),
    ),
    Case("ties", RankAccuracy(2), (coarse(40, 4), labels(40, classes=4))),
    Case("NaN", RankAccuracy(), (spoiled((4, 3), np.nan, 0, 4, 6, 7, 8), fixed([0, 2, 1, 1]))),
    Case("all ignored", RankAccuracy(ignore=-1), ((3, 2), fixed([-1, -1, -1]))),
    Case("no examples", RankAccuracy(), ((0, 3), (0,))),
]
"""The cases."""
