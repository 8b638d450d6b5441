"""Cases of rows taken by number or chosen by a mark: shapes of the index, rows named twice, types."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mocha.ops import SelectRows, TakeRows, Unpool
from mocha.testing.case import Case, Maker, fixed, labels

_TYPES: tuple[npt.DTypeLike, ...] = (np.int32, np.int64, np.uint8)
_MARKS = [0.0, 1.0, -0.5, 0.0, 0.0, 3.0, -0.0, float("nan")]


def _places(*shape: int, cells: int) -> Maker:
    """Distinct cells of each plane, in random order."""

    def make(rng: np.random.Generator) -> npt.NDArray[np.float64]:
        n = shape[2] * shape[3]
        drawn = [rng.permutation(cells)[:n] for _ in range(shape[0] * shape[1])]
        return np.array(drawn, np.float64).reshape(shape)

    return make


_TWICE = [[[[0.0, 5.0], [5.9, -1.0]], [[11.0, -0.5], [3.0, 3.0]]]]

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
    Case("2x2 windows", Unpool(6, 4), ((2, 3, 3, 2), _places(2, 3, 3, 2, cells=24))),
    Case("places named twice, and none", Unpool(3, 4), ((1, 2, 2, 2), fixed(_TWICE))),
    Case("one number a plane", Unpool(5, 7), ((3, 37, 1, 1), _places(3, 37, 1, 1, cells=35))),
    Case("no planes", Unpool(4, 4), ((0, 2, 2, 2), fixed(np.zeros((0, 2, 2, 2))))),
    Case("large planes", Unpool(60, 70), ((2, 3, 30, 35), _places(2, 3, 30, 35, cells=4200))),
    *(Case(f"places {np.dtype(kind)}", Unpool(2, 3), ((1, 1, 1, 3), fixed([[[[5, 0, 2]]]], kind))) for kind in _TYPES),
    Case("many rows", SelectRows(1500), ((3000, 19), lambda rng: np.arange(3000.0) % 2)),
]
"""The cases."""
