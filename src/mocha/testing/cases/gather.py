"""Cases of rows taken by number or chosen by a mark: shapes of the index, rows named twice, types."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mocha.ops import SelectRows, TakeRows
from mocha.testing.case import Case, fixed, labels

_TYPES: tuple[npt.DTypeLike, ...] = (np.int32, np.int64, np.uint8)
_MARKS = [0.0, 1.0, -0.5, 0.0, 0.0, 3.0, -0.0, float("nan")]

CASES: list[Case] = [
    Case("rows named twice", TakeRows(), ((4, 3, 2), labels(6, classes=4)), parameters=(0,)),
    Case("handed in", TakeRows(), ((4, 3, 2), labels(6, classes=4))),
    Case("index of two axes", TakeRows(), ((7, 4), labels(3, 5, classes=7)), parameters=(0,)),
    Case("numbers", TakeRows(), ((7,), labels(3, 5, classes=7))),
    Case("images", TakeRows(), ((3, 2, 3, 4), labels(2, classes=3))),
    Case("longer than a vector", TakeRows(), ((5, 37), labels(70, classes=5))),
    Case("truncated", TakeRows(), ((3, 2), fixed([-0.75, 0.75, 1.999, 2.5]))),
    *(Case(f"index {np.dtype(kind)}", TakeRows(), ((5, 3), labels(4, 2, classes=5, dtype=kind))) for kind in _TYPES),
    Case("no row named", TakeRows(), ((5, 3), labels(0, classes=5))),
    Case("rows of nothing", TakeRows(), ((5, 0), labels(4, classes=5))),
    Case("many rows", TakeRows(), ((3000, 19), labels(50, classes=3000))),
    Case("marked", SelectRows(4), ((8, 3, 2), fixed(_MARKS))),
    Case("marks of four axes", SelectRows(4), ((8, 2, 3, 4), lambda rng: np.array(_MARKS).reshape(8, 1, 1, 1))),
    Case("all", SelectRows(3), ((3, 37), fixed([[1.0], [2.0], [3.0]]))),
    Case("none", SelectRows(0), ((3, 2), fixed([0.0, 0.0, 0.0]))),
    Case("of no rows", SelectRows(0), ((0, 2), fixed(np.zeros((0, 1))))),
    *(Case(f"marks {np.dtype(kind)}", SelectRows(2), ((3, 5), fixed([1, 0, 2], kind))) for kind in _TYPES),
    Case("many rows", SelectRows(1500), ((3000, 19), lambda rng: np.arange(3000.0) % 2)),
]
"""The cases."""
