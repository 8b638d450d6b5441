"""Cases of the update family: clipping, decay, steps, constraints."""

from __future__ import annotations

from mocha.ops import (
    AdadeltaStep,
    AdagradStep,
    AdamStep,
    ClipByNorm,
    GlobalNorm,
    L1Decay,
    L2Decay,
    L2NormConstraint,
    NesterovStep,
    RmsPropStep,
    SgdStep,
)
from mocha.ops.adaptive import AdaptiveStep
from mocha.testing.case import Case, between, coarse, fixed, number

_SHAPE = (4, 3, 2, 2)


def _adaptive(about: str, op: AdaptiveStep, shape: tuple[int, ...] = _SHAPE, rate: float = 0.01) -> Case:
    """A step whose states are means of squares, or a mean of gradients before them."""
    positive = between(0.0, 2.0, *shape)
    states = (shape if isinstance(op, AdamStep) else positive, positive)[-op.n_states :]
    scalars = (number(rate), number(0.3)) if isinstance(op, AdamStep) else (number(rate),)
    return Case(about, op, (shape, shape, *states, *scalars))


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
    _adaptive("plain", AdamStep()),
    _adaptive("decay, local rate 2", AdamStep(2.0, 0.8, 0.99, 1e-3, 0.1), (37,)),
    _adaptive("rate 0", AdamStep(), (5, 7), rate=0.0),
    _adaptive("plain", AdagradStep()),
    _adaptive("local rate 2", AdagradStep(2.0, 1e-3), (37,)),
    _adaptive("plain", RmsPropStep()),
    _adaptive("local rate 2", RmsPropStep(2.0, 0.9, 1e-3), (37,)),
    _adaptive("plain", AdadeltaStep()),
    _adaptive("local rate 2", AdadeltaStep(2.0, 0.9, 1e-3), (37,)),
    Case("filters", L2NormConstraint(1.5), (_SHAPE, number(0))),
    Case("units", L2NormConstraint(2.5, 3), ((9, 7), number(6))),
    Case("not now", L2NormConstraint(0.1, 3), ((9, 7), number(5))),
    Case("bias, one row", L2NormConstraint(1.0), ((9,), number(1))),
    Case("one filter", L2NormConstraint(1.0), ((1, 9), number(1))),
    Case("short rows, rows of zeros", L2NormConstraint(1.0), (fixed([[0.0, 0.0], [0.3, 0.4], [3.0, 4.0]]), number(1))),
]
"""The cases."""
