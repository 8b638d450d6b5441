"""Cases of windows written out: strides, paddings and dilations, and rows around the lengths of vectors."""

from __future__ import annotations

import math

from mocha.ops import Unfold
from mocha.testing.case import Case, spoiled

CASES: list[Case] = [
    Case("3x3", Unfold((3, 3)), ((2, 3, 5, 6),)),
    Case("1x1", Unfold((1, 1)), ((2, 3, 4, 5),)),
    Case("1x1, stride 2", Unfold((1, 1), (2, 2)), ((2, 3, 4, 5),)),
    Case("the whole image", Unfold((4, 5)), ((2, 3, 4, 5),)),
    Case("pad 1", Unfold((3, 3), pad=(1, 1)), ((2, 2, 4, 5),)),
    Case("pad larger than the kernel", Unfold((2, 2), pad=(3, 4)), ((1, 2, 3, 2),)),
    Case("stride 2, cells left over", Unfold((3, 3), (2, 2)), ((2, 2, 6, 8),)),
    Case("stride 2, pad 1", Unfold((3, 3), (2, 2), (1, 1)), ((2, 2, 8, 7),)),
    Case("stride larger than the kernel", Unfold((2, 1), (3, 4)), ((1, 2, 8, 9),)),
    Case("dilation 2", Unfold((3, 2), dilation=(2, 2)), ((1, 2, 7, 6),)),
    Case("all at once", Unfold((2, 3), (1, 2), (2, 3), (3, 2)), ((2, 2, 6, 7),)),
    Case("rows longer than a vector", Unfold((2, 3), pad=(1, 1)), ((2, 3, 4, 37),)),
    Case("one pixel, padded", Unfold((3, 3), pad=(1, 1)), ((2, 3, 1, 1),)),
    Case("no images", Unfold((2, 2)), ((0, 2, 3, 3),)),
    Case("no channels", Unfold((2, 2)), ((2, 0, 3, 3),)),
    Case("NaN and infinity", Unfold((2, 2)), (spoiled(spoiled((1, 2, 4, 4), math.nan, 5), math.inf, 9),), checked=()),
    Case("1-D", Unfold((3,), (2,), (1,), (1,)), ((2, 3, 9),)),
    Case("1-D, dilation", Unfold((3,), (1,), (2,), (2,)), ((2, 3, 40),)),
    Case("3-D", Unfold((2, 1, 2), (1, 2, 1), (0, 1, 1), (1, 1, 2)), ((1, 2, 3, 4, 3),)),
]
"""The cases."""
