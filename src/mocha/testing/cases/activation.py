"""Cases of the activations, bounds and steps: both sides of the corner, extremes, and where slopes lie."""

from __future__ import annotations

import math

from mocha.ops import ELU, Clip, Op, PReLU, Shape, Softplus, Swish, Threshold
from mocha.testing.case import Case, away, coarse, fixed

_SHAPE = (2, 3, 2, 3)
_EXTREMES = fixed([-math.inf, -1e4, -60.0, -1.0, -1e-3, -0.0, 0.0, 1e-3, 1.0, 60.0, 1e4, math.inf, math.nan])
_ODD: list[Op] = [ELU(), ELU(0.0), Softplus(), Swish(), Swish(-0.5), Clip(-0.5, 0.7), Threshold(), Threshold(0.25)]


def _about(op: Op) -> str:
    return str(op).removeprefix(op.name).strip("()") or "plain"


def _prelu(about: str, shape: Shape, channels: int | None, *, stored: bool = True) -> Case:
    slope: Shape = () if channels is None else (channels,)
    return Case(about, PReLU(), (away(*shape), slope), parameters=(1,) if stored else ())


CASES: list[Case] = [
    *(Case(_about(op), op, (away(*_SHAPE),)) for op in (ELU(), ELU(0.3))),
    *(Case(_about(op), op, (_SHAPE,)) for op in (Softplus(), Swish(), Swish(-1.5), Swish(0.0))),
    Case("both bounds", Clip(-0.5, 0.7), (fixed([[-2.0, -0.6, -0.4], [0.3, 0.6, 0.8]]),)),
    Case("high below low", Clip(1.0, -1.0), (fixed([-2.0, -1.0, 0.0, 1.0, 2.0]),), checked=()),
    Case("on the bounds", Clip(-1.0, 1.0), (coarse(3, 7, levels=5),), checked=()),
    Case("levels", Threshold(), (coarse(3, 7),)),
    Case("image", Threshold(0.2), (_SHAPE,)),
    *(Case("longer than a vector", op, (away(37),)) for op in (ELU(), Softplus(), Swish(), Threshold())),
    Case("longer than a vector", Clip(-9.0, 9.0), ((37,),)),
    *(Case(f"scalar {_about(op)}", op, (away(),)) for op in (ELU(), Softplus(), Swish(), Clip(-9, 9), Threshold())),
    *(Case(f"empty {_about(op)}", op, ((0, 3),), checked=()) for op in _ODD),
    *(Case(f"extremes {_about(op)}", op, (_EXTREMES,), checked=()) for op in _ODD),
    Case("at the corner", ELU(), (coarse(3, 7),), checked=()),
    _prelu("image", (2, 3, 4, 5), 3),
    _prelu("handed in", (2, 3, 4, 5), 3, stored=False),
    _prelu("matrix", (4, 5), 5),
    _prelu("one pixel", (2, 5, 1, 1), 5),
    _prelu("3-D", (1, 2, 3, 2, 2), 2),
    _prelu("channels beyond a vector", (2, 19, 3), 19),
    _prelu("one slope, image", (2, 3, 4, 5), None),
    _prelu("one slope, large image", (2, 3, 8, 9), None),
    _prelu("one slope, matrix", (4, 37), None),
    _prelu("one slope, scalar", (), None),
    _prelu("one slope, one axis", (7,), None, stored=False),
    Case("no examples", PReLU(), ((0, 3, 2), (3,)), parameters=(1,)),
    Case("no examples, one slope", PReLU(), ((0, 3, 2), ()), parameters=(1,)),
    Case("at the corner", PReLU(), (coarse(2, 3, 7), (3,)), checked=(1,)),
    Case("extremes", PReLU(), (_EXTREMES, fixed(0.25)), checked=()),
]
"""The cases."""
