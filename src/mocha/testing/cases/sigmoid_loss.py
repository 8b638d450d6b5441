"""Cases of the cross entropy of sigmoids: lengths around vectors, targets that are ignored, each divisor."""

from __future__ import annotations

import numpy as np

from mocha.ops import Shape, SigmoidCrossEntropyLoss
from mocha.ops.labels import DIVISORS
from mocha.testing.case import Case, Maker, away, fixed


def _whole(*shape: int) -> Maker:
    """Whole numbers from -2 to 3 and some with a fraction, which lies far from where the whole number changes."""
    return lambda rng: np.asarray(rng.integers(-2, 4, shape) + rng.choice([0.0, 0.0, 0.25, -0.25], shape))


# (about, scores, targets)
_SHAPES: list[tuple[str, Shape, Shape]] = [
    ("matrix", (4, 6), (4, 6)),
    ("longer than a vector", (3, 37), (3, 37)),
    ("image, targets of another rank", (2, 3, 2, 2), (2, 12)),
    ("one axis", (5,), (5, 1)),
]

_ODD = fixed([[np.inf, -np.inf, np.inf, -np.inf, np.nan, 1e4, -1e4, 0.0, -0.0, 0.5]])

CASES: list[Case] = [
    *(
        Case(f"{about}, {divisor}", SigmoidCrossEntropyLoss(0.7, divisor=divisor), (away(*x), t), checked=(0,))
        for about, x, t in _SHAPES
        for divisor in DIVISORS
    ),
    *(
        Case(
            f"{about}, ignore {ignore}, {divisor}",
            SigmoidCrossEntropyLoss(ignore=ignore, divisor=divisor),
            (away(*x), _whole(*t)),
            checked=(0,),
        )
        for about, x, t in _SHAPES
        for divisor in DIVISORS
        for ignore in (-1, 0, 2)
    ),
    Case(
        "work for several threads",
        SigmoidCrossEntropyLoss(ignore=1, divisor="counted"),
        ((150, 300), _whole(150, 300)),
        checked=(),
    ),
    Case(
        "all ignored",
        SigmoidCrossEntropyLoss(ignore=255, divisor="counted"),
        ((2, 3), fixed([[255.0] * 3] * 2)),
        checked=(0,),
    ),
    *(
        Case(
            f"ignore {ignore}, where float32 has no fractions",
            SigmoidCrossEntropyLoss(ignore=ignore, divisor="counted"),
            ((1, 4), fixed([[ignore, 0.0, 1.0, 2.0 * ignore]])),
            checked=(),
        )
        for ignore in (2**24 + 4, -(2**24) - 4, 2**24 + 2)
    ),
    *(
        Case(f"odd scores, targets {t}", SigmoidCrossEntropyLoss(ignore=7), (_ODD, fixed([[t] * 10])), checked=())
        for t in (0.0, 1.0, 0.5, np.nan, 7.5)
    ),
    Case("odd targets", SigmoidCrossEntropyLoss(ignore=0), ((1, 10), _ODD), checked=()),
    Case("no examples", SigmoidCrossEntropyLoss(divisor="counted", ignore=0), ((0, 3), (0, 3)), checked=()),
]
"""The cases."""
