"""Cases of the largest of several inputs: how many, ties, NaN."""

from __future__ import annotations

import math

from mocha.ops import Maximum
from mocha.testing.case import Case, coarse, fixed

_NAN, _INFINITY = math.nan, math.inf
_A = fixed([_NAN, 1.0, _NAN, 1.0, -_INFINITY, 0.0, -0.0, _INFINITY])
_B = fixed([1.0, _NAN, _NAN, 2.0, -_INFINITY, -0.0, 0.0, _INFINITY])
_C = fixed([2.0, 2.0, 2.0, _NAN, _NAN, 0.0, -0.0, _INFINITY])

CASES: list[Case] = [
    Case("one", Maximum(), ((2, 3),)),
    Case("two", Maximum(), ((2, 3, 2, 3), (2, 3, 2, 3))),
    Case("five", Maximum(), ((3, 7),) * 5),
    Case("longer than a vector", Maximum(), ((37,),) * 3),
    Case("scalars", Maximum(), ((), ())),
    Case("no examples", Maximum(), ((0, 3),) * 2),
    Case("ties of two", Maximum(), (coarse(5, 7), coarse(5, 7)), checked=()),
    Case("ties of four", Maximum(), (coarse(5, 7),) * 4, checked=()),
    Case("NaN first", Maximum(), (_A, _B, _C), checked=()),
    Case("NaN last", Maximum(), (_C, _A, _B), checked=()),
    Case("many", Maximum(), (coarse(19, levels=9),) * 256, checked=()),
]
"""The cases."""
