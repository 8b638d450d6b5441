"""Cases of normalisation by a row's own statistics: where rows begin, lengths around vectors, rows of equal numbers."""

from __future__ import annotations

import math

import numpy as np

from mocha.ops import L2Normalize, Standardize
from mocha.testing.case import Case, Maker, spoiled

_NAN, _INFINITY = math.nan, math.inf


def _shifted(*shape: int) -> Maker:
    """A mean far from 0, beside which the deviation is small."""
    return lambda rng: np.asarray(100 + rng.standard_normal(shape))


def _equal(*shape: int) -> Maker:
    """Rows of equal numbers, behind the first axis."""
    return lambda rng: np.broadcast_to(np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)) + 0.5, shape).copy()


CASES: list[Case] = [
    Case("rows", Standardize(), ((4, 7),)),
    Case("examples", Standardize(), ((2, 3, 2, 3),)),
    Case("planes", Standardize(2), ((2, 3, 2, 3),)),
    Case("last axis", Standardize(-1), ((2, 3, 37),)),
    Case("everything", Standardize(0), ((3, 5),)),
    Case("long rows", Standardize(), ((3, 5000),), checked=()),
    Case("shifted", Standardize(), (_shifted(3, 40),)),
    Case("eps counts", Standardize(1, 0.5), ((4, 7),), checked=()),
    Case("equal numbers", Standardize(1, 1e-3), (_equal(3, 8),), checked=()),
    Case("one number a row", Standardize(1, 1e-3), ((4, 1),), checked=()),
    Case("NaN and infinity", Standardize(), (spoiled(spoiled((5, 9), _NAN, 3), _INFINITY, 20),), checked=()),
    Case("no rows", Standardize(), ((0, 3),), checked=()),
    Case("empty rows", Standardize(), ((3, 0),), checked=()),
    Case("mean, rows", Standardize(scaled=False), ((4, 7),)),
    Case("mean, planes", Standardize(2, scaled=False), ((2, 3, 2, 3),)),
    Case("mean, long rows", Standardize(scaled=False), ((3, 5000),)),
    Case("mean, NaN", Standardize(scaled=False), (spoiled((5, 9), _NAN, 3),), checked=()),
    Case("rows", L2Normalize(), ((4, 7),)),
    Case("longer than a vector", L2Normalize(), ((3, 131),)),
    Case("image", L2Normalize(), ((2, 5, 3, 4),)),
    Case("many positions", L2Normalize(), ((2, 3, 9, 11),)),
    Case("first axis", L2Normalize(0), ((4, 5),)),
    Case("last axis", L2Normalize(-1), ((2, 3, 4),)),
    Case("one channel", L2Normalize(eps=0.5), ((3, 1, 2),)),
    Case("eps counts", L2Normalize(eps=0.5), ((4, 7),)),
    Case("zeros", L2Normalize(), (spoiled((3, 4), 0.0, 4, 5, 6, 7),), checked=()),
    Case("zeros without eps", L2Normalize(eps=0.0), (spoiled((3, 4), 0.0, 4, 5, 6, 7),), checked=()),
    Case("squares that overflow", L2Normalize(), (spoiled((3, 4), 1e25, 4, 5),), checked=()),
    Case("NaN and infinity", L2Normalize(), (spoiled(spoiled((4, 5, 7), _NAN, 3), _INFINITY, 50),), checked=()),
    Case("no rows", L2Normalize(), ((0, 3),), checked=()),
    Case("no channels", L2Normalize(), ((3, 0, 2),), checked=()),
]
"""The cases."""
