"""Cases of batch normalisation and the scaling of channels: layouts, single elements, channels without spread."""

from __future__ import annotations

import math

from mocha.ops import BatchNormTest, BatchNormTrain, MovingAverage, ScaleChannels, Shape
from mocha.testing.case import Case, Maker, between, coarse, fixed, spoiled

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
    ("many pixels", (10, 5, 6, 8)),
]


def _around(middle: float, *shape: int) -> Maker:
    """Normally distributed numbers around another one than 0, so that their means do not cancel."""
    return lambda rng: middle + rng.standard_normal(shape)


def _scaled(about: str, shape: Shape, axis: int = 1, *, stored: bool = True) -> Case:
    return Case(about, ScaleChannels(axis), (shape, (shape[axis],)), parameters=(1,) if stored else ())


CASES: list[Case] = [
    *(Case(about, BatchNormTrain(1e-3), (shape,)) for about, shape in _SHAPES),
    Case("long stretches", BatchNormTrain(1e-3), (_around(1, 4, 3, 3001),), checked=()),
    Case("many rows", BatchNormTrain(1e-3), (_around(1, 5000, 5),), checked=()),
    Case("eps 0.5", BatchNormTrain(0.5), ((4, 3, 2, 2),)),
    Case("far from 0", BatchNormTrain(), (_around(10, 8, 3, 4, 4),), checked=()),
    Case("two values", BatchNormTrain(), (coarse(8, 3, 2, 2),), checked=()),
    Case("equal values", BatchNormTrain(), (fixed([[[[0.5, 0.5]] * 2, [[-7.25, -7.25]] * 2]] * 3),), checked=()),
    Case("one number a channel", BatchNormTrain(), (fixed([[1.0, -2.0, 3.0]]),), checked=()),
    Case("NaN and infinity", BatchNormTrain(), (spoiled(spoiled((4, 5), math.nan, 6), math.inf, 13),), checked=()),
    *(Case(about, BatchNormTest(1e-3), (shape, (shape[1],), between(0.1, 2.0, shape[1]))) for about, shape in _SHAPES),
    Case("variance 0", BatchNormTest(0.01), ((2, 3, 2, 2), (3,), fixed([0.0] * 3))),
    Case("kept statistics", BatchNormTest(), ((2, 3, 2, 2), (3,), between(0.1, 2.0, 3)), parameters=(1, 2)),
    Case("plain", MovingAverage(0.9), ((7,), (7,))),
    Case("factor", MovingAverage(0.999, 1.25), ((37,), (37,))),
    Case("one number", MovingAverage(0.5), ((1,), (1,))),
    _scaled("image", (2, 3, 4, 5)),
    _scaled("handed in", (2, 3, 4, 5), stored=False),
    _scaled("matrix", (4, 5)),
    _scaled("one example, one channel", (1, 1, 3, 3)),
    _scaled("one pixel", (2, 5, 1, 1)),
    _scaled("first axis", (4, 3, 2), 0),
    _scaled("last axis", (2, 3, 4), -1),
    _scaled("image, last axis", (2, 3, 4, 5), 3),
    _scaled("one axis", (6,), 0),
    _scaled("channels beyond a vector", (2, 19, 3)),
    Case("many rows", ScaleChannels(), (_around(1, 5000, 5), _around(1, 5)), checked=()),
]
"""The cases."""
