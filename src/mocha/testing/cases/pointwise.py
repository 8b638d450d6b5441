"""Cases of the pointwise family: activations, arithmetic, bias."""

from __future__ import annotations

import math

from mocha.ops import (
    Abs,
    Add,
    AddBias,
    Divide,
    Exp,
    LeakyReLU,
    Log,
    Multiply,
    Op,
    Power,
    ReLU,
    Scale,
    Shape,
    Sigmoid,
    Subtract,
    Sum,
    Tanh,
)
from mocha.testing.case import Case, away, between, coarse, fixed

_SHAPE = (2, 3, 2, 3)
_EXTREMES = fixed([-math.inf, -1e4, -1.0, -0.0, 0.0, 1.0, 1e4, math.inf, math.nan])
_KINKED: list[Op] = [ReLU(), LeakyReLU(), LeakyReLU(0.0), Abs()]
_SMOOTH: list[Op] = [Sigmoid(), Tanh(), Exp(), Scale(-2.5), Scale(0.0)]
_BINARY: list[Op] = [Add(), Subtract(), Multiply()]
# power, scale, shift, and the inputs for which scale x + shift is positive enough
_POWERS = [(1.0, -2.0, 3.0), (2.0, 1.5, -0.5), (3.0, 1.0, 0.0), (0.0, 2.0, 1.0), (1.5, 0.0, 2.0), (2.0, 0.0, 0.0)]
_ROOTS = [(0.5, 1.0, 0.0), (-1.0, 2.0, 0.5), (-0.75, 0.5, 1.0), (2.5, 1.0, 1.0)]
_AT_ZERO = [Power(0.0), Power(-1.0), Power(1.5)]


def _row(op: Op) -> str:
    told = str(op).removeprefix(op.name)
    return f"extremes {told}".rstrip()


def _about(op: Op) -> str:
    return str(op).removeprefix(op.name).strip("()") or "plain"


def _bias(about: str, shape: Shape, channels: int, axis: int = 1, *, stored: bool = True) -> Case:
    return Case(about, AddBias(axis), (shape, (channels,)), parameters=(1,) if stored else ())


CASES: list[Case] = [
    *(Case(_about(op), op, (away(*_SHAPE),)) for op in _KINKED),
    Case("floor=0.5", ReLU(0.5), (away(*_SHAPE, kink=0.5),)),
    Case("floor=-1", ReLU(-1.0), (away(*_SHAPE, kink=-1.0),)),
    *(Case(_about(op), op, (_SHAPE,)) for op in _SMOOTH),
    *(Case("longer than a vector", op, (away(37),)) for op in [*_KINKED[:2], *_SMOOTH[:3]]),
    *(Case(f"scalar {_about(op)}", op, (away(),)) for op in [*_KINKED, *_SMOOTH]),
    *(Case(_row(op), op, (_EXTREMES,), checked=()) for op in [*_KINKED, *_SMOOTH, Log(), Power(2.0), Power(0.5)]),
    *(Case(f"at the kink {_about(op)}", op, (coarse(3, 7),), checked=()) for op in _KINKED),
    Case("positive", Log(), (between(0.3, 3.0, *_SHAPE),)),
    *(Case(_about(Power(*p)), Power(*p), (_SHAPE,)) for p in _POWERS),
    *(Case(_about(Power(*p)), Power(*p), (between(0.4, 3.0, *_SHAPE),)) for p in _ROOTS),
    *(Case(f"base 0, {_about(op)}", op, (fixed([0.0, 1.0]),), checked=()) for op in _AT_ZERO),
    *(Case("plain", op, (_SHAPE, _SHAPE)) for op in _BINARY),
    *(Case("longer than a vector", op, ((37,), (37,))) for op in _BINARY),
    *(Case("scalars", op, ((), ())) for op in _BINARY),
    Case("plain", Divide(), (_SHAPE, away(*_SHAPE, by=0.5))),
    Case("by zero", Divide(), (fixed([1.0, -1.0, 0.0]), fixed([0.0, 0.0, 0.0])), checked=()),
    Case("one", Sum(), (_SHAPE,)),
    Case("two", Sum(), (_SHAPE, _SHAPE)),
    Case("five", Sum(), ((3, 7),) * 5),
    _bias("image", (2, 3, 4, 5), 3),
    _bias("handed in", (2, 3, 4, 5), 3, stored=False),
    _bias("matrix", (4, 5), 5),
    _bias("one example, one channel", (1, 1, 3, 3), 1),
    _bias("one pixel", (2, 5, 1, 1), 5),
    _bias("first axis", (4, 3, 2), 4, 0),
    _bias("last axis", (2, 3, 4), 4, -1),
    _bias("3-D", (1, 2, 3, 2, 2), 2),
    _bias("one axis", (6,), 6, 0),
    _bias("channels beyond a vector", (2, 19, 3), 19),
]
"""The cases."""
