"""Cases of batch normalisation with what is behind it: layouts, with and without each part, channels without spread."""

from __future__ import annotations

import math

from mocha.ops import BatchNormUnit, Shape
from mocha.testing.case import Case, Maker, away, coarse, fixed, spoiled

# (about, shape)
_SHAPES: list[tuple[str, Shape]] = [
    ("matrix", (6, 4)),
    ("image", (3, 4, 3, 2)),
    ("one channel", (4, 1, 3, 3)),
    ("one example", (1, 5, 3, 4)),
    ("one pixel", (7, 5, 1, 1)),
    ("3-D", (2, 3, 2, 2, 3)),
    ("channels beyond a vector", (5, 19, 2, 2)),
    ("matrix beyond a vector", (9, 37)),
    ("whole packs", (3, 16, 2, 4)),
    ("many pixels", (10, 5, 6, 8)),
]


def _around(middle: float, *shape: int) -> Maker:
    """Normally distributed numbers around another one than 0, so that their means do not cancel."""
    return lambda rng: middle + rng.standard_normal(shape)


def _unit(about: str, op: BatchNormUnit, x: Shape | Maker, shape: Shape, *, smooth: bool = True) -> Case:
    """Scale and shift are kept, the other blob is handed in; behind a ReLU's kink there are no differences."""
    channels = shape[1]
    inputs = (x, _around(1, channels), _around(0.5, channels), *([shape] if op.residual else []))
    return Case(about, op, inputs, checked=None if smooth and not op.relu else (), parameters=(1, 2))


def _signs(*shape: int) -> Maker:
    """Numbers that decide what the sign of a sum is."""
    return lambda rng: rng.choice([-10.0, 10.0], shape)


_KINDS = [
    ("alone", BatchNormUnit(1e-3)),
    ("ReLU", BatchNormUnit(1e-3, relu=True)),
    ("sum", BatchNormUnit(1e-3, residual=True)),
    ("sum and ReLU", BatchNormUnit(1e-3, relu=True, residual=True)),
]
_WHOLE = BatchNormUnit(relu=True, residual=True)

CASES: list[Case] = [
    *(_unit(f"{about}, {kind}", op, shape, shape) for about, shape in _SHAPES for kind, op in _KINDS),
    *(_unit(f"many rows, {kind}", op, _around(1, 5000, 6), (5000, 6), smooth=False) for kind, op in _KINDS),
    *(_unit(f"many packs, {kind}", op, _around(1, 3000, 72), (3000, 72), smooth=False) for kind, op in _KINDS[::3]),
    Case(
        "away from the kink, ReLU",
        BatchNormUnit(relu=True),
        (away(6, 4, 3, 2, by=1.0), _around(1, 4), fixed([0.01] * 4)),
    ),
    Case("away from the kink, sum and ReLU", _WHOLE, ((6, 4, 3, 2), (4,), (4,), _signs(6, 4, 3, 2))),
    _unit("long stretches", _WHOLE, _around(1, 4, 3, 3001), (4, 3, 3001)),
    _unit("eps 0.5", BatchNormUnit(0.5, residual=True), (4, 3, 2, 2), (4, 3, 2, 2)),
    _unit("far from 0", _WHOLE, _around(10, 8, 3, 4, 4), (8, 3, 4, 4)),
    _unit("two values", _WHOLE, coarse(8, 3, 2, 2), (8, 3, 2, 2)),
    _unit("equal values", _WHOLE, fixed([[[[0.5, 0.5]] * 2, [[-7.25, -7.25]] * 2]] * 3), (3, 2, 2, 2)),
    _unit("one number a channel", _WHOLE, fixed([[1.0, -2.0, 3.0]]), (1, 3)),
    _unit("NaN and infinity", _WHOLE, spoiled(spoiled((4, 5), math.nan, 6), math.inf, 13), (4, 5)),
    Case("NaN in the other blob", _WHOLE, ((4, 5), (5,), (5,), spoiled((4, 5), math.nan, 6, 8)), checked=()),
    Case("handed in", _WHOLE, ((2, 4, 3, 3), (4,), (4,), (2, 4, 3, 3)), checked=()),
]
"""The cases."""
