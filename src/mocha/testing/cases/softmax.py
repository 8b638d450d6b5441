"""Cases of the softmax: over which axis, and how extreme the scores are."""

from __future__ import annotations

import math

from mocha.ops import Softmax
from mocha.testing.case import Case, fixed

CASES: list[Case] = [
    Case("matrix", Softmax(), ((4, 5),)),
    Case("one example", Softmax(), ((1, 7),)),
    Case("one class", Softmax(), ((3, 1),)),
    Case("two classes", Softmax(), ((3, 2),)),
    Case("image", Softmax(), ((2, 4, 3, 2),)),
    Case("axis 0", Softmax(axis=0), ((4, 3),)),
    Case("axis 2", Softmax(axis=2), ((2, 3, 4, 2),)),
    Case("axis -1", Softmax(axis=-1), ((2, 3, 4),)),
    Case("one axis", Softmax(axis=0), ((6,),)),
    Case("more classes than a vector", Softmax(), ((2, 37),)),
    Case("many classes, an odd number of pixels", Softmax(), ((1, 100, 5, 8),), checked=()),
    Case("many classes, six pixels", Softmax(), ((2, 70, 3),), checked=()),
    Case("thousands of classes", Softmax(), ((3, 5000),), checked=()),
    Case("scores of 1e4", Softmax(), (fixed([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4 - 1]]),), checked=()),
    Case(
        "infinities and NaN",
        Softmax(),
        (fixed([[math.inf, 0.0, 1.0], [-math.inf, 0.0, 1.0], [math.nan, 0.0, 1.0], [0.5, 0.0, 1.0]]),),
        checked=(),
    ),
]
"""The cases."""
