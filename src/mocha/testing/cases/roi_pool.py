"""Cases of pooled regions: inside, across the border, outside, rounded, smaller than the bins, several in an image."""

from __future__ import annotations

import math

from mocha.ops import RoiPooling
from mocha.testing.case import Case, apart, coarse, fixed, spoiled

_SOME = fixed([[0, 1, 1, 6, 5], [1, 0, 2, 3, 7], [0, 2, 0, 2, 7], [1, 4, 4, 4, 4]])
_ROUNDED = fixed([[0, 0.5, 1.5, 8.5, 12.5], [1, -0.5, -1.5, 2.49, 14.51], [0, 3, 3, 13, 11]])
_BEYOND = fixed([[0, -5, -3, 3, 2], [0, 5, 6, 30, 40], [1, 50, 50, 60, 60], [1, -9, -9, -7, -7], [0, -2, -2, 20, 20]])
_TURNED = fixed([[0, 5, 5, 2, 1], [1, 3, 3, 3, 0]])

CASES: list[Case] = [
    Case("inside", RoiPooling(2, 3), (apart(2, 3, 8, 7), _SOME)),
    Case("one bin", RoiPooling(1, 1), (apart(2, 3, 8, 7), _SOME)),
    Case("more bins than cells", RoiPooling(7, 7), (apart(2, 2, 8, 7), _SOME)),
    Case("scaled and rounded", RoiPooling(3, 2, 0.5), (apart(2, 3, 8, 7), _ROUNDED)),
    Case("a scale that is no power of two", RoiPooling(3, 3, 1 / 3), (apart(2, 3, 8, 7), _ROUNDED)),
    Case("across and beyond the border", RoiPooling(3, 3), (apart(2, 2, 8, 7), _BEYOND)),
    Case("last before first", RoiPooling(2, 2), (apart(2, 2, 8, 7), _TURNED)),
    Case("one pixel", RoiPooling(2, 2), (apart(2, 3, 1, 1), _SOME)),
    Case("many channels", RoiPooling(2, 2), (apart(2, 37, 8, 7), _SOME)),
    Case("no channels", RoiPooling(2, 3), ((2, 0, 8, 7), _SOME)),
    Case("no regions", RoiPooling(2, 2), (apart(2, 3, 4, 4), lambda rng: rng.standard_normal((0, 5)))),
    Case("ties", RoiPooling(2, 2), (coarse(2, 3, 8, 7), _SOME), checked=()),
    Case("NaN and infinity", RoiPooling(2, 2),
         (spoiled(spoiled(apart(2, 1, 8, 7), math.nan, 10, 17, 60), -math.inf, 24, 25, 26), _SOME), checked=()),
]  # fmt: skip
"""The cases."""
