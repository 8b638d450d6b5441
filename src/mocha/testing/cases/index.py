"""Cases of class numbers: ties, NaN, and where the classes lie."""

from __future__ import annotations

from mocha.ops import Argmax, OneHot, TopK
from mocha.testing.case import Case, apart, coarse, fixed, labels, spoiled

_NAN, _INFINITY = float("nan"), float("inf")

CASES: list[Case] = [
    Case("matrix", Argmax(), (apart(4, 5),)),
    Case("image", Argmax(), (apart(2, 4, 3, 2),)),
    Case("axis 0", Argmax(axis=0), (apart(4, 5),)),
    Case("inner axis", Argmax(axis=2), (apart(2, 3, 4, 2),)),
    Case("axis -1", Argmax(axis=-1), (apart(2, 3, 4),)),
    Case("one class", Argmax(), (apart(3, 1),)),
    Case("ties", Argmax(), (coarse(20, 4),)),
    Case("ties along an inner axis", Argmax(), (coarse(3, 5, 19),)),
    Case("beyond a vector", Argmax(), (apart(3, 37),)),
    Case("many positions behind", Argmax(), (apart(2, 3, 37),)),
    Case("NaN", Argmax(), (spoiled((5, 4), _NAN, 1, 4, 11, 12, 13),)),
    Case("NaN behind", Argmax(), (spoiled((2, 4, 5), _NAN, 0, 6, 15, 20, 39),)),
    Case("infinities", Argmax(), (fixed([[-_INFINITY] * 3, [0, _INFINITY, _INFINITY], [-_INFINITY, 0, _NAN]]),)),
    Case("no examples", Argmax(), ((0, 3),)),
    Case("matrix", OneHot(5), (labels(4, 1, classes=5),)),
    Case("image", OneHot(4), (labels(2, 1, 3, 2, classes=4),)),
    Case("axis 0", OneHot(3, axis=0), (labels(1, 7, classes=3),)),
    Case("axis -1", OneHot(3, axis=-1), (labels(2, 4, 1, classes=3),)),
    Case("one class", OneHot(1), (labels(4, 1, classes=1),)),
    Case("beyond a vector", OneHot(37), (labels(3, 1, classes=37),)),
    Case("many positions behind", OneHot(3), (labels(2, 1, 40, classes=3),)),
    Case("no examples", OneHot(3), ((0, 1),)),
    Case("one", TopK(), (apart(4, 5),)),
    Case("some", TopK(3), (apart(4, 7),)),
    Case("all", TopK(5), (apart(4, 5),)),
    Case("image", TopK(2), (apart(2, 4, 3, 2),)),
    Case("axis 0", TopK(2, axis=0), (apart(4, 5),)),
    Case("axis -1", TopK(4, axis=-1), (apart(2, 3, 9),)),
    Case("ties", TopK(3), (coarse(20, 7),), checked=()),
    Case("ties along an inner axis", TopK(4), (coarse(3, 9, 5),), checked=()),
    Case("long", TopK(50), (apart(3, 997),)),
    Case("long, ties, all", TopK(300), (coarse(2, 300, levels=40),), checked=()),
    Case("NaN and infinities", TopK(4), (fixed([[0, _NAN, _INFINITY, _NAN, 1], [-_INFINITY] * 5]),), checked=()),
    Case("NaN among ties", TopK(3), (spoiled(coarse(6, 8), _NAN, 1, 4, 11, 12, 13, 47),), checked=()),
    Case("signed zeros", TopK(3), (fixed([[0.0, -0.0, 0.0, -0.0]]),), checked=()),
    Case("no examples", TopK(2), ((0, 3),)),
]
"""The cases."""
