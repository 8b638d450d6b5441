"""Cases of resizing: larger, smaller, single rows, and channels around the lengths of vectors."""

from __future__ import annotations

import math

from mocha.ops import ResizeBilinear, Shape, UpsampleNearest
from mocha.testing.case import Case, spoiled

# (about, shape, height, width)
_SIZES: list[tuple[str, Shape, int, int]] = [
    ("larger", (2, 3, 4, 5), 7, 9),
    ("much larger", (1, 17, 2, 3), 13, 20),
    ("smaller", (2, 3, 9, 8), 4, 5),
    ("much smaller, rows left out", (1, 2, 20, 17), 3, 2),
    ("larger one way, smaller the other", (2, 2, 4, 9), 8, 3),
    ("same size", (2, 3, 4, 5), 4, 5),
    ("from one pixel", (2, 3, 1, 1), 3, 4),
    ("to one pixel", (2, 3, 4, 5), 1, 1),
    ("from one row to one column", (1, 2, 1, 5), 4, 1),
    ("two rows", (1, 2, 2, 2), 2, 5),
    ("one channel", (2, 1, 4, 5), 6, 6),
    ("no images", (0, 2, 3, 3), 5, 5),
]

# (about, shape, scales)
_SCALES: list[tuple[str, Shape, int, int]] = [
    ("2x2", (2, 3, 4, 5), 2, 2),
    ("rectangles", (2, 3, 4, 5), 3, 1),
    ("wide blocks", (1, 2, 2, 3), 1, 5),
    ("1x1", (2, 3, 4, 5), 1, 1),
    ("one pixel", (2, 17, 1, 1), 3, 2),
    ("one channel", (2, 1, 4, 5), 2, 3),
    ("more channels than two vectors", (1, 35, 3, 2), 2, 2),
    ("no images", (0, 2, 3, 3), 2, 2),
]

_SPOILED = spoiled(spoiled((1, 2, 4, 5), math.nan, 7), math.inf, 13)

CASES: list[Case] = [
    *(Case(about, ResizeBilinear(height, width), (shape,)) for about, shape, height, width in _SIZES),
    Case("NaN and infinity", ResizeBilinear(7, 7), (_SPOILED,), checked=()),
    *(Case(about, UpsampleNearest(*scales), (shape,)) for about, shape, *scales in _SCALES),
    Case("NaN and infinity", UpsampleNearest(2, 2), (_SPOILED,), checked=()),
]
"""The cases."""
