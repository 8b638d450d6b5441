"""Cases of local response normalisation: windows at and beyond the borders, powers, sizes around a vector."""

from __future__ import annotations

import math

from mocha.ops import LRN, Shape
from mocha.testing.case import Case, Maker, fixed, spoiled

# (about, shape, op of size, alpha, beta, k)
_ACROSS: list[tuple[str, Shape, LRN]] = [
    ("plain", (2, 9, 4, 3), LRN(5, 0.3, 0.75, 1.0)),
    ("size 1", (1, 4, 2, 3), LRN(1, 0.5, 0.75, 1.0)),
    ("size 2", (1, 5, 2, 3), LRN(2, 0.5, 0.75, 1.0)),
    ("size 3", (2, 7, 3, 2), LRN(3, 0.5, 0.75, 2.0)),
    ("size 4", (1, 6, 3, 2), LRN(4, 1.5, 0.75, 1.0)),
    ("wider than the channels", (1, 3, 3, 2), LRN(9, 0.7, 0.75, 1.0)),
    ("one channel", (2, 1, 3, 3), LRN(5, 0.7, 0.75, 1.0)),
    ("one pixel", (2, 8, 1, 1), LRN(5, 0.7, 0.75, 1.0)),
    ("channels beyond a vector", (1, 37, 2, 3), LRN(5, 0.7, 0.75, 1.0)),
    ("channels of whole vectors, many pixels", (1, 32, 15, 10), LRN(5, 0.7, 0.75, 1.0)),
    ("power 1/2", (1, 9, 3, 2), LRN(3, 1.0, 0.5, 1.0)),
    ("power 1", (1, 9, 3, 2), LRN(3, 1.0, 1.0, 0.5)),
    ("power 2.3", (1, 19, 3, 2), LRN(5, 0.4, 2.3, 1.0)),
    ("power 0", (1, 5, 3, 2), LRN(3, 0.4, 0.0, 1.0)),
    ("alpha 0", (1, 5, 3, 2), LRN(3, 0.0, 0.75, 2.0)),
    ("small alpha", (1, 5, 3, 2), LRN(5, 1e-4, 0.75, 1.0)),
]
_WITHIN: list[tuple[str, Shape, LRN]] = [
    ("plain", (2, 3, 6, 5), LRN(3, 0.8, 0.75, 1.0, across=False)),
    ("size 1", (2, 3, 4, 3), LRN(1, 0.8, 0.75, 1.0, across=False)),
    ("size 5", (2, 2, 6, 7), LRN(5, 0.8, 0.75, 1.0, across=False)),
    ("size 7, larger than the image", (1, 2, 4, 3), LRN(7, 0.8, 0.75, 2.0, across=False)),
    ("one channel", (2, 1, 4, 4), LRN(3, 0.8, 0.75, 1.0, across=False)),
    ("one pixel", (2, 4, 1, 1), LRN(3, 0.8, 0.75, 1.0, across=False)),
    ("one row", (1, 4, 1, 6), LRN(3, 0.8, 0.75, 1.0, across=False)),
    ("channels beyond a vector", (1, 19, 4, 5), LRN(3, 0.8, 0.75, 1.0, across=False)),
    ("power 1.2", (1, 3, 4, 5), LRN(3, 0.8, 1.2, 1.0, across=False)),
]


def _image(x: list[float]) -> Maker:
    """Channels of one pixel."""
    return fixed([[[[v]] for v in x]])


CASES: list[Case] = [
    *(Case(f"across, {about}", op, (shape,)) for about, shape, op in _ACROSS),
    *(Case(f"within, {about}", op, (shape,)) for about, shape, op in _WITHIN),
    Case("across, enough for several threads", LRN(5, 0.7), ((3, 24, 17, 16),), checked=()),
    Case("within, enough for several threads", LRN(3, 0.7, across=False), ((3, 24, 17, 16),), checked=()),
    Case("across, nothing but zeros", LRN(), (fixed([[[[0.0] * 3] * 2] * 5]),), checked=()),
    Case("across, k 0 and zeros", LRN(3, k=0.0), (_image([1.0, 0.0, 0.0, 0.0, 2.0]),), checked=()),
    Case("across, squares beyond the type", LRN(3), (_image([1.0, 1e25, 2.0, 3.0, 1.0]),), checked=()),
    Case("across, NaN", LRN(3), (spoiled((1, 8, 2, 2), math.nan, 9),), checked=()),
    Case("across, infinity", LRN(3, beta=0.6), (spoiled((1, 8, 2, 2), math.inf, 9),), checked=()),
    Case("within, NaN and infinity", LRN(3, across=False), (spoiled(spoiled((1, 2, 4, 4), math.nan, 5), math.inf, 20),),
         checked=()),
]  # fmt: skip
"""The cases."""
