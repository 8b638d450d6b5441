"""Cases of the reductions: which axes, kept or not."""

from __future__ import annotations

from mocha.ops import ReduceMean, ReduceSum, ReduceSumOfSquares, Shape
from mocha.testing.case import Case

# (about, shape, axes, keep)
_AXES: list[tuple[str, Shape, Shape, bool]] = [
    ("all", (2, 3, 4), (), False),
    ("all, kept", (2, 3, 4), (), True),
    ("first", (4, 3, 2), (0,), False),
    ("last", (4, 3, 2), (-1,), False),
    ("middle, kept", (4, 3, 2), (1,), True),
    ("outer two", (4, 3, 2), (0, 2), False),
    ("sizes", (2, 3, 4, 5), (2, 3), False),
    ("all but channels, unordered", (2, 3, 4, 5), (-1, 0, 2), True),
    ("an axis named twice", (3, 4), (1, -1), False),
    ("axis of one", (3, 1, 4), (1,), False),
    ("scalar", (), (), False),
    ("longer than a vector", (2, 131), (1,), False),
]

CASES: list[Case] = [
    Case(about, kind(axes, keep), (shape,))
    for kind in (ReduceSum, ReduceMean, ReduceSumOfSquares)
    for about, shape, axes, keep in _AXES
]
"""The cases."""
