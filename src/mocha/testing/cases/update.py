"""Cases of the update family: clipping, decay, steps, constraints."""

from __future__ import annotations

from mocha.ops import ClipByNorm, GlobalNorm, L1Decay, L2Decay, L2NormConstraint, NesterovStep, SgdStep
from mocha.testing.case import Case, coarse, fixed, number

_SHAPE = (4, 3, 2, 2)

CASES: list[Case] = [
    Case("one", GlobalNorm(), (_SHAPE,)),
    Case("several", GlobalNorm(), (_SHAPE, (4,), (7, 5))),
    Case("zero", GlobalNorm(), (fixed([0.0, 0.0]), fixed([[0.0]]))),
    Case("beyond", ClipByNorm(2.0), (_SHAPE, number(5.0))),
    Case("within", ClipByNorm(2.0), (_SHAPE, number(1.5))),
    Case("exactly", ClipByNorm(2.0), (_SHAPE, number(2.0))),
    Case("plain", L2Decay(0.005), (_SHAPE, _SHAPE)),
    Case("plain", L1Decay(0.005), (_SHAPE, _SHAPE)),
    Case("zeros", L1Decay(0.005), ((5, 7), coarse(5, 7))),
    Case("plain", SgdStep(), (_SHAPE, _SHAPE, _SHAPE, number(0.01), number(0.9))),
    Case("local rate 2", SgdStep(2.0), ((7,), (7,), (7,), number(0.01), number(0.9))),
    Case("no momentum", SgdStep(), ((5, 7), (5, 7), (5, 7), number(0.1), number(0.0))),
    Case("rate 0", SgdStep(), ((37,), (37,), (37,), number(0.0), number(0.5))),
    Case("plain", NesterovStep(), (_SHAPE, _SHAPE, _SHAPE, number(0.01), number(0.9), number(0.95))),
    Case("local rate 2", NesterovStep(2.0), ((37,), (37,), (37,), number(0.01), number(0.9), number(0.9))),
    Case("filters", L2NormConstraint(1.5), (_SHAPE, number(0))),
    Case("units", L2NormConstraint(2.5, 3), ((9, 7), number(6))),
    Case("not now", L2NormConstraint(0.1, 3), ((9, 7), number(5))),
    Case("bias, one row", L2NormConstraint(1.0), ((9,), number(1))),
    Case("one filter", L2NormConstraint(1.0), ((1, 9), number(1))),
    Case("short rows, rows of zeros", L2NormConstraint(1.0), (fixed([[0.0, 0.0], [0.3, 0.4], [3.0, 4.0]]), number(1))),
]
"""The cases."""
