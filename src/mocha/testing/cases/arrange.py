"""Cases of elements moved to other places: which axis, whole axes, and lengths around vectors."""

from __future__ import annotations

from mocha.ops import Shape, Tile, Transpose, Window
from mocha.testing.case import Case

# (shape, order): what joins to nothing, to matrices, to rows that are copied, and to matrices among other axes
_ORDERS: list[tuple[Shape, Shape]] = [
    ((), ()),
    ((5,), (0,)),
    ((3, 4), (0, 1)),
    ((3, 4), (1, 0)),
    ((37, 19), (1, 0)),
    ((2, 3, 4, 5), (0, 2, 3, 1)),
    ((2, 3, 4, 5), (0, 3, 1, 2)),
    ((2, 3, 4, 5), (0, 2, 1, 3)),
    ((2, 3, 4, 5), (1, 0, 2, 3)),
    ((2, 3, 4, 5), (3, 2, 1, 0)),
    ((2, 3, 4, 5), (2, 0, 3, 1)),
    ((2, 3, 4, 5), (1, 3, 0, 2)),
    ((2, 3, 4, 5), (0, 3, 2, 1)),
    ((17, 2, 18), (2, 1, 0)),
    ((16, 3, 32), (2, 1, 0)),
    ((2, 1, 3, 1), (3, 2, 1, 0)),
    ((2, 3, 2, 2, 3), (4, 2, 0, 3, 1)),
    ((2, 3, 2, 1, 2, 3), (5, 1, 3, 4, 2, 0)),
    ((0, 3, 2), (2, 1, 0)),
]


def _told(numbers: Shape) -> str:
    return "x".join(map(str, numbers)) or "scalar"


CASES: list[Case] = [
    Case("channels", Tile(1, 3), ((2, 3, 2, 3),)),
    Case("examples", Tile(0, 2), ((3, 4),)),
    Case("last axis", Tile(-1, 2), ((2, 3, 5),)),
    Case("inner axis", Tile(2, 4), ((2, 3, 2, 3),)),
    Case("once", Tile(1, 1), ((2, 3),)),
    Case("one axis", Tile(0, 3), ((37,),)),
    Case("beyond a vector", Tile(1, 2), ((3, 19, 5),)),
    Case("no examples", Tile(1, 2), ((0, 3),)),
    Case("no channels", Tile(1, 2), ((2, 0, 3),)),
    Case("image", Window((0, 0, 1, 2), (2, 3, 3, 2)), ((2, 3, 5, 6),)),
    Case("channels", Window((0, 1, 0, 0), (2, 2, 5, 4)), ((2, 4, 5, 4),)),
    Case("all axes", Window((1, 2, 0, 1), (1, 1, 2, 3)), ((3, 4, 3, 5),)),
    Case("whole", Window((0, 0, 0), (2, 3, 4)), ((2, 3, 4),)),
    Case("examples", Window((1, 0), (2, 37)), ((4, 37),)),
    Case("one axis", Window((3,), (20,)), ((37,),)),
    Case("one element", Window((1, 1, 1), (1, 1, 1)), ((2, 3, 2),)),
    Case("five axes", Window((0, 1, 0, 1, 0), (2, 1, 2, 2, 1)), ((2, 2, 3, 3, 2),)),
    Case("scalar", Window((), ()), ((),)),
    Case("nothing", Window((1, 3), (1, 0)), ((2, 3),)),
    Case("of no examples", Window((0, 1), (0, 2)), ((0, 3),)),
    *(Case(f"{_told(shape)} to {_told(order)}", Transpose(order), (shape,)) for shape, order in _ORDERS),
]
"""The cases."""
