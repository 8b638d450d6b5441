"""Cases of the ops that draw: ratios, and sizes around the four words of a block of Philox."""

from __future__ import annotations

from mocha.ops import Dropout
from mocha.testing.case import Case, number

_LARGEST = float(2**32 - 1)

CASES: list[Case] = [
    Case("half", Dropout(0.5, 2.0, 7), ((4, 5), number(1), number(0))),
    Case("image, a tenth", Dropout(0.1, 1 / 0.9, 7), ((2, 3, 4, 5), number(12345678), number(3))),
    Case("unscaled", Dropout(0.7, 1.0, 7), ((4, 5), number(1), number(2))),
    Case("ratio 0", Dropout(0.0, 1.0, 7), ((4, 5), number(1), number(0))),
    Case("ratio almost 1", Dropout(1 - 2.0**-33, 1.0, 7), ((4, 5), number(1), number(0))),
    *(Case(f"{n} elements", Dropout(0.5, 2.0, 7), ((n,), number(1), number(0))) for n in (1, 3, 4, 5, 17)),
    Case("largest seed and stream", Dropout(0.5, 2.0, 2**32 - 1), ((9,), number(_LARGEST), number(0))),
    Case("counter beyond 32 bits", Dropout(0.5, 2.0, 7), ((9,), number(1), number(2.0**32 + 5))),
]
"""The cases."""
