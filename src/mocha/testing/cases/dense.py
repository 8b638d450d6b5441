"""Cases of the inner product."""

from __future__ import annotations

from mocha.ops import InnerProduct, TransposedInnerProduct
from mocha.testing.case import Case

CASES: list[Case] = [
    Case("matrix", InnerProduct(), ((4, 5), (3, 5)), parameters=(1,)),
    Case("weight handed in", InnerProduct(), ((4, 5), (3, 5))),
    Case("image folded", InnerProduct(), ((2, 3, 4, 2), (5, 24)), parameters=(1,)),
    Case("one example", InnerProduct(), ((1, 7), (4, 7)), parameters=(1,)),
    Case("one output", InnerProduct(), ((5, 6), (1, 6)), parameters=(1,)),
    Case("one feature", InnerProduct(), ((5, 1), (3, 1)), parameters=(1,)),
    Case("one axis", InnerProduct(), ((5,), (3, 1)), parameters=(1,)),
    Case("one of each", InnerProduct(), ((1, 1), (1, 1)), parameters=(1,)),
    Case("no examples", InnerProduct(), ((0, 5), (3, 5)), parameters=(1,)),
    Case("no features", InnerProduct(), ((4, 0), (3, 0)), parameters=(1,)),
    Case("no outputs", InnerProduct(), ((4, 5), (0, 5)), parameters=(1,)),
    Case("axis 2", InnerProduct(axis=2), ((2, 3, 4, 2), (5, 8)), parameters=(1,)),
    Case("axis -1", InnerProduct(axis=-1), ((2, 3, 4), (5, 4)), parameters=(1,)),
    Case("sizes beyond a vector", InnerProduct(), ((9, 33), (17, 33)), parameters=(1,)),
    Case("matrix", TransposedInnerProduct(), ((4, 5), (5, 3)), parameters=(1,)),
    Case("weight handed in", TransposedInnerProduct(), ((4, 5), (5, 3))),
    Case("image folded", TransposedInnerProduct(), ((2, 3, 4, 2), (24, 5)), parameters=(1,)),
    Case("one example", TransposedInnerProduct(), ((1, 7), (7, 4)), parameters=(1,)),
    Case("one of each", TransposedInnerProduct(), ((1, 1), (1, 1)), parameters=(1,)),
    Case("one axis", TransposedInnerProduct(), ((5,), (1, 3)), parameters=(1,)),
    Case("sizes beyond a vector", TransposedInnerProduct(), ((9, 17), (17, 33)), parameters=(1,)),
    Case("many examples", TransposedInnerProduct(), ((70, 19), (19, 35)), parameters=(1,)),
]
"""The cases."""
