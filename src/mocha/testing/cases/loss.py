"""Cases of the losses and measures: where the classes lie, how labels are shaped and typed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mocha.ops import Accuracy, ClassWeights, MultinomialLogisticLoss, Op, Shape, SoftmaxLoss, SquareLoss
from mocha.ops.labels import DIVISORS
from mocha.testing.case import Case, apart, between, coarse, fixed, labels

# (about, scores, axis, labels, type of the labels)
_LABELLED: list[tuple[str, Shape, int, Shape, npt.DTypeLike]] = [
    ("labels (N)", (4, 5), 1, (4,), np.float64),
    ("labels (N, 1)", (4, 5), 1, (4, 1), np.float64),
    ("labels int32", (4, 5), 1, (4,), np.int32),
    ("labels int64", (4, 5), 1, (4, 1), np.int64),
    ("labels uint8", (4, 5), 1, (4,), np.uint8),
    ("one example", (1, 3), 1, (1,), np.float64),
    ("one class", (3, 1), 1, (3,), np.float64),
    ("image, labels (N, 1, H, W)", (2, 4, 3, 2), 1, (2, 1, 3, 2), np.float64),
    ("image, labels (N, H, W)", (2, 4, 3, 2), 1, (2, 3, 2), np.float64),
    ("image of one pixel", (3, 4, 1, 1), 1, (3, 1, 1, 1), np.float64),
    ("axis 0", (4, 5), 0, (5,), np.float64),
    ("axis 2", (2, 3, 4, 2), 2, (2, 3, 2), np.float64),
    ("axis -1", (2, 3, 4), -1, (2, 3), np.float64),
    ("more classes than a vector", (3, 37), 1, (3,), np.float64),
]

_EXTREME = fixed([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [1e4, 1e4, 1e4]])
_NO_CHANCE = fixed([[0.0, 1.0, 0.5], [0.0, 1e-30, 1.0], [1.0, 1.0, -1.0], [np.nan, 1.0, 0.0]])


def _some_weights(shape: Shape, normalize: str) -> ClassWeights:
    return ClassWeights.of(np.random.default_rng(1).uniform(0.2, 2, shape), normalize)


# (about, scores, axis, shape of the weights)
_WEIGHTED: list[tuple[str, Shape, int, Shape]] = [
    ("of classes", (4, 5), 1, (5,)),
    ("of each example", (4, 5), 1, (4, 5)),
    ("of classes, image", (2, 4, 3, 2), 1, (4,)),
    ("of classes, image wider than a vector", (2, 3, 5, 7), 1, (3,)),
    ("of an example, image", (2, 4, 3, 2), 1, (4, 3, 2)),
    ("of all, image", (2, 4, 3, 2), 1, (2, 4, 3, 2)),
    ("of classes, axis 2", (2, 3, 4, 2), 2, (4,)),
    ("of an example, axis 2", (2, 3, 4, 2), 2, (3, 4, 2)),
    ("of classes, the last axis", (2, 3, 4), -1, (4,)),
    ("of an example, the last axis", (2, 3, 4), -1, (3, 4)),
]


# (about, scores, axis, labels, type of the labels)
_COUNTED: list[tuple[str, Shape, int, Shape, npt.DTypeLike]] = [
    ("matrix", (40, 5), 1, (40,), np.float64),
    ("matrix, labels int32", (8, 5), 1, (8,), np.int32),
    ("matrix, labels int64", (8, 5), 1, (8,), np.int64),
    ("matrix, labels uint8", (8, 5), 1, (8,), np.uint8),
    ("image wider than a vector", (2, 3, 5, 7), 1, (2, 1, 5, 7), np.float64),
    ("axis 2", (2, 3, 4, 2), 2, (2, 3, 2), np.float64),
    ("axis -1", (2, 3, 4), -1, (2, 3), np.float64),
]


def _counted() -> list[Case]:
    """Labels that are ignored, a class or none; each divisor; class weights beside."""
    cases = []
    for about, shape, axis, places, dtype in _COUNTED:
        classes = shape[axis]
        for divisor in DIVISORS:
            op = SoftmaxLoss(axis, 0.7, ignore=1, divisor=divisor)
            cases.append(
                Case(f"ignore 1, {divisor}, {about}", op, (shape, labels(*places, classes=classes, dtype=dtype)))
            )
        outside = SoftmaxLoss(axis, 0.7, ignore=classes, divisor="counted")
        made = labels(*places, classes=classes + 1, dtype=dtype)
        cases.append(Case(f"ignore a label that is no class, {about}", outside, (shape, made)))
        weighted = SoftmaxLoss(axis, 0.7, _some_weights((classes,), "no"), classes, "counted")
        cases.append(Case(f"ignored labels and class weights, {about}", weighted, (shape, made)))
    return cases


def _weighted(kind: type[SoftmaxLoss | MultinomialLogisticLoss], probabilities: bool) -> list[Case]:
    """Class weights of each shape, scaled in each way."""
    cases = []
    for about, shape, axis, weights in _WEIGHTED:
        places = tuple(n for i, n in enumerate(shape) if i != axis % len(shape))
        scores = between(0.1, 1.0, *shape) if probabilities else shape
        for normalize in ("local", "global", "no"):
            op: Op = kind(axis, 0.7, _some_weights(weights, normalize))
            made = (scores, labels(*places, classes=shape[axis]))
            cases.append(Case(f"weights {about}, normalize {normalize}", op, made))
    return cases


CASES: list[Case] = [
    *(
        Case(about, SoftmaxLoss(axis), (shape, labels(*places, classes=shape[axis], dtype=dtype)))
        for about, shape, axis, places, dtype in _LABELLED
    ),
    *(
        Case(f"{shape[1]} classes", SoftmaxLoss(), (shape, labels(*places, classes=shape[1])), checked=())
        for shape, places in (((1, 100, 5, 8), (1, 5, 8)), ((2, 70, 3), (2, 3)), ((3, 5000), (3,)))
    ),
    Case("weight 0.3", SoftmaxLoss(weight=0.3), ((4, 5), labels(4, classes=5))),
    Case("scores of 1e4", SoftmaxLoss(), (_EXTREME, fixed([0, 0, 1])), checked=()),
    *_weighted(SoftmaxLoss, False),
    *_counted(),
    Case(
        "ignored pixels for several threads",
        SoftmaxLoss(ignore=1, divisor="counted"),
        ((2, 3, 160, 150), labels(2, 160, 150, classes=3)),
        checked=(),
    ),
    Case("ignore -1", SoftmaxLoss(ignore=-1, divisor="counted"), ((4, 5), fixed([-1, 2, -1, 4]))),
    Case("all ignored", SoftmaxLoss(ignore=-1, divisor="counted"), ((4, 5), fixed([-1.0] * 4))),
    Case("each divisor without ignored labels", SoftmaxLoss(divisor="examples"), ((2, 3, 5), labels(2, 5, classes=3))),
    Case(
        "scores of 1e4, a least probability, NaN",
        SoftmaxLoss(least=2.0**-126),
        (fixed([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [np.nan, 1.0, 2.0], [0.0, 1.0, 2.0]]), fixed([1, 0, 1, 1])),
        checked=(),
    ),
    Case(
        "an ignored position of NaN",
        SoftmaxLoss(ignore=0, divisor="counted"),
        (fixed([[np.nan, 1.0, 0.0], [0.0, 1.0, 0.0]]), fixed([0, 1])),
        checked=(),
    ),
    Case(
        "an ignored pixel of NaN",
        SoftmaxLoss(ignore=0, weights=_some_weights((3,), "no")),
        (fixed([[[np.nan, 1.0], [0.0, 2.0], [0.0, 1.0]]]), fixed([0, 1])),
        checked=(),
    ),
    *(
        Case(
            about,
            MultinomialLogisticLoss(axis, 0.3),
            (between(0.1, 1.0, *shape), labels(*places, classes=shape[axis], dtype=dtype)),
        )
        for about, shape, axis, places, dtype in _LABELLED
    ),
    *_weighted(MultinomialLogisticLoss, True),
    Case("no probability", MultinomialLogisticLoss(), (_NO_CHANCE, fixed([0, 1, 2, 0])), checked=()),
    Case("matrix", SquareLoss(), ((4, 3), (4, 3))),
    Case("image, weight 0.3", SquareLoss(0.3), ((2, 3, 2, 2), (2, 3, 2, 2))),
    Case("other shape, same size", SquareLoss(), ((4, 3, 1, 1), (4, 3))),
    Case("one axis", SquareLoss(), ((5,), (5,))),
    Case("one example", SquareLoss(), ((1, 7), (1, 7))),
    *(
        Case(about, Accuracy(axis), (apart(*shape), labels(*places, classes=shape[axis], dtype=dtype)))
        for about, shape, axis, places, dtype in _LABELLED
    ),
    Case("ties", Accuracy(), (coarse(20, 4), labels(20, classes=4))),
]
"""The cases."""
