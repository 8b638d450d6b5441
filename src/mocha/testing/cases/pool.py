"""Cases of pooling: each way in which a window can lie on a border, ties, NaN and infinities."""

from __future__ import annotations

import math

import numpy as np

from mocha.ops import Array, MaxPooling, MeanPooling, Shape, WinnerPlaces
from mocha.testing.case import Case, Maker, apart, coarse, fixed, spoiled

# (about, shape, kernel, stride, pad, ceil)
_WINDOWS: list[tuple[str, Shape, Shape, Shape, Shape, bool]] = [
    ("2x2, stride 2", (2, 3, 4, 6), (2, 2), (2, 2), (0, 0), True),
    ("2x2, stride 2, odd size, ceil", (2, 2, 5, 7), (2, 2), (2, 2), (0, 0), True),
    ("2x2, stride 2, odd size, floor", (2, 2, 5, 7), (2, 2), (2, 2), (0, 0), False),
    ("3x3, stride 2, overlapping", (2, 2, 7, 7), (3, 3), (2, 2), (0, 0), True),
    ("3x3, stride 2, overlapping, ceil clips", (1, 2, 6, 8), (3, 3), (2, 2), (0, 0), True),
    ("3x3, stride 2, overlapping, floor", (1, 2, 6, 8), (3, 3), (2, 2), (0, 0), False),
    ("3x3, stride 1", (1, 2, 5, 4), (3, 3), (1, 1), (0, 0), True),
    ("3x3, stride 1, pad 1", (1, 2, 4, 5), (3, 3), (1, 1), (1, 1), True),
    ("3x3, stride 2, pad 1, ceil", (2, 1, 6, 7), (3, 3), (2, 2), (1, 1), True),
    ("3x3, stride 2, pad 1, floor", (2, 1, 6, 7), (3, 3), (2, 2), (1, 1), False),
    ("pad on one axis, its window lost on the other", (1, 2, 5, 6), (2, 2), (3, 3), (1, 0), True),
    ("last window in the padding, lost", (1, 2, 3, 3), (2, 2), (2, 2), (1, 1), True),
    ("rectangles", (2, 2, 7, 6), (3, 2), (2, 3), (1, 0), True),
    ("global", (2, 3, 4, 5), (4, 5), (1, 1), (0, 0), True),
    ("global, stride as large", (2, 3, 4, 5), (4, 5), (4, 5), (0, 0), False),
    ("1x1", (2, 2, 3, 3), (1, 1), (1, 1), (0, 0), True),
    ("1x1, stride 2", (2, 2, 5, 4), (1, 1), (2, 2), (0, 0), False),
    ("one pixel", (2, 3, 1, 1), (1, 1), (1, 1), (0, 0), True),
    ("one pixel, padded", (2, 3, 1, 1), (3, 3), (2, 2), (1, 1), True),
    ("kernel larger than the image, padded", (1, 1, 2, 3), (4, 5), (1, 1), (2, 2), True),
    ("stride larger than the kernel", (1, 2, 8, 9), (2, 2), (3, 4), (0, 0), False),
    ("empty last windows", (1, 2, 5, 6), (1, 2), (3, 5), (0, 0), True),
    ("kernel of more than 256 taps", (1, 1, 17, 16), (17, 16), (1, 1), (0, 0), True),
    ("no batch axis", (3, 5, 4), (2, 2), (2, 2), (0, 0), True),
    ("1-D", (2, 3, 9), (3,), (2,), (1,), True),
    ("3-D", (1, 2, 4, 5, 3), (2, 3, 2), (2, 2, 1), (0, 1, 0), True),
]

_TWOS, _THREES = MaxPooling((2, 2), (1, 1)), MaxPooling((3, 3), (2, 2), (1, 1))
_LOW, _IMAGE = -math.inf, (1, 2, 5, 5)


def _extreme(about: str, op: MaxPooling | MeanPooling, maker: Maker) -> Case:
    return Case(about, op, (maker,), checked=())


def _places(about: str, pooling: MaxPooling, *shape: int) -> Case:
    """The winners of other numbers than the image's, which do not matter."""

    def winners(rng: np.random.Generator) -> Array:
        return pooling.forward(rng.standard_normal(shape))[1]

    return Case(about, WinnerPlaces(pooling), (shape, winners))


CASES: list[Case] = [
    *(Case(about, MaxPooling(k, s, p, c), (apart(*shape),)) for about, shape, k, s, p, c in _WINDOWS),
    *(Case(about, MeanPooling(k, s, p, c), (shape,)) for about, shape, k, s, p, c in _WINDOWS),
    _extreme("ties", _TWOS, coarse(2, 2, 5, 6)),
    _extreme("ties, padded, overlapping", _THREES, coarse(2, 2, 6, 6)),
    _extreme("all equal", _THREES, fixed([[[[2.0] * 4] * 4]])),
    _extreme("all negative, padded", _THREES, fixed([[[[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0], [-7.0, -8.0, -9.0]]]])),
    _extreme("zeros of both signs", _TWOS, fixed([[[[-0.0, 0.0, -0.0], [0.0, -0.0, 0.0]]]])),
    _extreme("NaN", _TWOS, spoiled(apart(*_IMAGE), math.nan, 0, 12, 13, 49)),
    _extreme("NaN, padded, overlapping", _THREES, spoiled(apart(*_IMAGE), math.nan, 6, 7, 24, 30)),
    _extreme("windows of -infinity", _TWOS, spoiled(apart(*_IMAGE), _LOW, 0, 1, 5, 6, 18, 19, 23, 24, 40)),
    _extreme("windows of -infinity, padded", _THREES, fixed([[[[_LOW] * 5] * 5]])),
    _extreme("infinity", _THREES, spoiled(apart(*_IMAGE), math.inf, 3, 4, 31)),
    _extreme("NaN and infinity", MeanPooling((2, 2), (1, 1)), spoiled(spoiled(_IMAGE, math.nan, 7), math.inf, 40)),
    _places("overlapping", MaxPooling((2, 2)), 2, 3, 4, 5),
    _places("padded", _THREES, 2, 17, 5, 6),
    _places("rectangles", MaxPooling((3, 2), (2, 3), (1, 0)), 2, 2, 7, 6),
    _places("empty last windows", MaxPooling((1, 2), (3, 5)), 1, 2, 5, 6),
    _places("more than 256 taps", MaxPooling((17, 16), (2, 2), (8, 8)), 1, 2, 17, 16),
    _places("no images", MaxPooling((2, 2)), 0, 2, 3, 3),
    _places("one channel", MaxPooling((2, 2)), 2, 1, 3, 3),
    _places("1-D", MaxPooling((3,), (2,), (1,)), 2, 3, 9),
    _places("3-D", MaxPooling((2, 3, 2), (2, 2, 1), (0, 1, 0)), 1, 2, 4, 5, 3),
]
"""The cases."""
