"""Cases of stochastic pooling: windows at the borders, sums of every kind, channels around the lengths of vectors."""

from __future__ import annotations

import math

from mocha.ops import Shape, StochasticPooling, StochasticPoolingMean
from mocha.testing.case import Case, Maker, between, coarse, fixed, number, spoiled

_SEED, _COUNTER = number(12345678), number(3)

# (about, shape, kernel, stride, ceil)
_WINDOWS: list[tuple[str, Shape, Shape, Shape, bool]] = [
    ("2x2, stride 2", (2, 3, 4, 6), (2, 2), (2, 2), True),
    ("3x3, stride 2, overlapping, ceil clips", (2, 2, 6, 8), (3, 3), (2, 2), True),
    ("3x3, stride 2, overlapping, floor", (1, 2, 6, 8), (3, 3), (2, 2), False),
    ("3x3, stride 1", (1, 17, 5, 4), (3, 3), (1, 1), True),
    ("rectangles", (2, 5, 7, 6), (3, 2), (2, 3), True),
    ("global", (2, 3, 4, 5), (4, 5), (1, 1), True),
    ("1x1", (1, 2, 3, 3), (1, 1), (1, 1), True),
    ("empty last windows", (1, 2, 5, 6), (1, 2), (3, 5), True),
    ("more than 256 taps", (1, 1, 17, 16), (17, 16), (1, 1), True),
    ("rows longer than what is drawn at once", (1, 3, 2, 41), (2, 2), (1, 1), True),
    ("more channels than two vectors", (1, 35, 3, 3), (2, 2), (1, 1), True),
    ("no images", (0, 2, 4, 4), (2, 2), (2, 2), True),
    ("1-D", (2, 3, 9), (3,), (2,), True),
    ("3-D", (1, 2, 3, 4, 3), (2, 2, 2), (2, 1, 1), True),
]


def _drawn(about: str, maker: Shape | Maker, op: StochasticPooling, checked: tuple[int, ...] | None = ()) -> Case:
    return Case(about, op, (maker, _SEED, _COUNTER), checked=checked)


_TWOS, _MEANS = StochasticPooling((2, 2), (1, 1), stream=7), StochasticPoolingMean((2, 2), (1, 1))
_IMAGE = (1, 2, 5, 5)
_KINDS: list[tuple[str, Shape | Maker]] = [
    ("zeros", fixed([[[[0.0] * 5] * 4]])),
    ("few levels", coarse(2, 3, 5, 6, levels=3)),
    ("sums that are not positive", fixed([[[[-1.0, -2.0, -3.0], [-4.0, 2.0, 2.0], [-7.0, 3.0, 2.0]]]])),
    ("NaN", spoiled(between(0.1, 1, *_IMAGE), math.nan, 0, 12, 13, 49)),
    ("infinity", spoiled(between(0.1, 1, *_IMAGE), math.inf, 3, 4, 31)),
]

CASES: list[Case] = [
    *(
        _drawn(about, between(0.1, 1, *shape), StochasticPooling(k, s, ceil, 7), None)
        for about, shape, k, s, ceil in _WINDOWS
    ),
    *(
        Case(about, StochasticPoolingMean(k, s, ceil), (between(0.1, 1, *shape),))
        for about, shape, k, s, ceil in _WINDOWS
    ),
    *(_drawn(about, maker, _TWOS) for about, maker in _KINDS),
    *(Case(about, _MEANS, (maker,), checked=()) for about, maker in _KINDS),
    Case("counter beyond 32 bits", _TWOS, (between(0.1, 1, *_IMAGE), _SEED, number(2.0**32 + 5))),
]
"""The cases."""
