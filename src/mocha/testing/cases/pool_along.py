"""Cases of the poolings along an axis: borders, overlaps and gaps, ties, NaN, and which axis."""

from __future__ import annotations

from mocha.ops import MaxPoolingAlong, MeanPoolingAlong, Shape
from mocha.testing.case import Case, apart, coarse, fixed, spoiled

_NAN, _INFINITY = float("nan"), float("inf")

# (about, shape, kernel, stride, pad, axis)
_GEOMETRIES: list[tuple[str, Shape, int, int, tuple[int, int], int]] = [
    ("whole windows", (2, 6, 3, 2), 2, 2, (0, 0), 1),
    ("overlap", (2, 7, 3), 3, 1, (0, 0), 1),
    ("last window hangs over", (2, 7, 3), 3, 3, (0, 0), 1),
    ("stride beyond the kernel", (2, 7, 3), 2, 4, (0, 0), 1),
    ("a window would start behind", (2, 5, 3), 1, 3, (0, 0), 1),
    ("pad in front", (2, 5, 2), 3, 2, (2, 0), 1),
    ("pad behind", (2, 5, 2), 3, 2, (0, 2), 1),
    ("pad both, overlap", (2, 5, 2), 4, 1, (3, 2), 1),
    ("a window in the padding goes", (2, 4, 2), 2, 2, (0, 1), 1),
    ("matrix", (3, 9), 3, 2, (1, 1), 1),
    ("axis 2", (2, 3, 5, 2), 3, 2, (1, 0), 2),
    ("last axis", (2, 3, 7), 3, 2, (0, 1), 2),
    ("axis -1", (2, 7), 2, 1, (0, 0), -1),
    ("axis 0", (7, 2), 3, 2, (0, 0), 0),
    ("beyond a vector", (2, 5, 37), 3, 2, (1, 1), 1),
    ("many rows", (70, 6, 1), 4, 3, (1, 0), 1),
    ("one element", (1, 1), 1, 1, (0, 0), 1),
    ("no examples", (0, 4, 2), 2, 2, (0, 0), 1),
]

CASES: list[Case] = [
    *(
        Case(about, kind(kernel, stride, pad, axis), (apart(*shape),))
        for kind in (MaxPoolingAlong, MeanPoolingAlong)
        for about, shape, kernel, stride, pad, axis in _GEOMETRIES
    ),
    Case("ties", MaxPoolingAlong(3, 2), (coarse(4, 9, 20),), checked=()),
    Case("NaN", MaxPoolingAlong(3, 1), (spoiled((2, 7, 5), _NAN, 3, 8, 22, 40, 45, 50),), checked=()),
    Case("infinities", MaxPoolingAlong(2), (fixed([[-_INFINITY] * 3, [_INFINITY, _INFINITY, 0]]),), checked=()),
    Case("NaN", MeanPoolingAlong(3, 1), (spoiled((2, 7, 5), _NAN, 3, 8, 22),), checked=()),
]
"""The cases."""
