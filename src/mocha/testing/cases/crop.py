"""Cases of cropping: where the window is, who draws, and sizes around the blocks that are drawn at once."""

from __future__ import annotations

from mocha.ops import Crop, Shape
from mocha.testing.case import Case, number

_SEED, _COUNTER = number(12345678), number(3)


def _drawn(about: str, op: Crop, shape: Shape) -> Case:
    return Case(about, op, (shape, _SEED, _COUNTER))


CASES: list[Case] = [
    Case("centre", Crop(3, 4), ((2, 3, 5, 7),)),
    Case("centre, odd remainder", Crop(2, 1), ((2, 1, 5, 4),)),
    Case("whole image", Crop(4, 3), ((2, 2, 4, 3),)),
    Case("one pixel", Crop(1, 1), ((1, 2, 3, 3),)),
    Case("no images", Crop(2, 2), ((0, 2, 3, 3),)),
    _drawn("random place", Crop(2, 3, True, False, True, 7), (5, 2, 4, 6)),
    _drawn("random mirror", Crop(2, 3, False, True, True, 7), (5, 2, 4, 6)),
    _drawn("both", Crop(3, 2, True, True, True, 7), (9, 2, 5, 6)),
    _drawn("both, a batch at a time", Crop(3, 2, True, True, False, 7), (4, 2, 5, 6)),
    _drawn("one image", Crop(3, 2, True, True, True, 7), (1, 3, 5, 6)),
    _drawn("no images, random", Crop(3, 2, True, True, True, 7), (0, 3, 5, 6)),
    _drawn("wider than a vector", Crop(3, 37, True, True, True, 2**32 - 1), (17, 1, 4, 40)),
    Case("counter beyond 32 bits", Crop(2, 2, True, True, True, 7), ((3, 1, 9, 9), _SEED, number(2.0**32 + 5))),
]
"""The cases."""
