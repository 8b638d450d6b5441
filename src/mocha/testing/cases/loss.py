"""Cases of the losses and measures: where the classes lie, how labels are shaped and typed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mocha.ops import Accuracy, Shape, SoftmaxLoss, SquareLoss
from mocha.testing.case import Case, apart, coarse, fixed, labels

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

CASES: list[Case] = [
    *(
        Case(about, SoftmaxLoss(axis), (shape, labels(*places, classes=shape[axis], dtype=dtype)))
        for about, shape, axis, places, dtype in _LABELLED
    ),
    Case("weight 0.3", SoftmaxLoss(weight=0.3), ((4, 5), labels(4, classes=5))),
    Case("scores of 1e4", SoftmaxLoss(), (_EXTREME, fixed([0, 0, 1])), checked=()),
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
