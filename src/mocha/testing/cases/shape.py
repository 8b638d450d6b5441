"""Cases of the shape ops."""

from __future__ import annotations

import numpy as np

from mocha.ops import Concat, Constant, Fill, Identity, Recast, Reorder, Reshape, Slice, StopGradient
from mocha.testing.case import Case

CASES: list[Case] = [
    Case("flatten", Reshape((2, 12)), ((2, 3, 4),)),
    Case("unfold", Reshape((2, 3, 2, 2)), ((2, 12),)),
    Case("same shape", Reshape((2, 3)), ((2, 3),)),
    Case("to a scalar", Reshape(()), ((1, 1),)),
    Case("from a scalar", Reshape((1, 1)), ((),)),
    Case("image", Identity(), ((2, 3, 2, 2),)),
    Case("image", Reorder(), ((2, 3, 2, 2),)),
    Case("image", Recast(), ((2, 3, 2, 2),)),
    Case("image", StopGradient(), ((2, 3, 2, 2),)),
    Case("parameter", StopGradient(), ((2, 3),), parameters=(0,)),
    Case("scalar", Identity(), ((),)),
    Case("channels", Concat(), ((2, 1, 3, 2), (2, 3, 3, 2), (2, 2, 3, 2))),
    Case("examples", Concat(axis=0), ((2, 3), (1, 3))),
    Case("last axis", Concat(axis=-1), ((2, 3, 1), (2, 3, 4))),
    Case("one input", Concat(), ((2, 3),)),
    Case("one axis", Concat(axis=0), ((3,), (4,))),
    Case("beyond a vector", Concat(), ((2, 17), (2, 20))),
    Case("channels", Slice((1, 3, 2)), ((2, 6, 3, 2),)),
    Case("examples", Slice((2, 1), axis=0), ((3, 4),)),
    Case("last axis", Slice((1, 4), axis=-1), ((2, 3, 5),)),
    Case("one piece", Slice((4,)), ((2, 4),)),
    Case("beyond a vector", Slice((17, 20)), ((2, 37),)),
    Case("zeros", Fill((2, 3), "float32"), ()),
    Case("a number, float64", Fill((3, 2, 2), "float64", -1.5), ()),
    Case("scalar", Fill((), "float32", 1.0), ()),
    Case("some numbers", Constant.of(np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)), ()),
    Case("one number, float64", Constant.of(np.float64(0.5)), ()),
]
"""The cases."""
