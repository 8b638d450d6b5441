"""What a backend with kernels makes of a node: calls, by names and attributes that all such backends share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

from mocha.graph import Layout, Node, Value
from mocha.ops import Op

Layouts = Mapping[Value, Layout]
"""How four-dimensional values lie in memory; one that is not named is row-major."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a kernel.

    Attributes:
        kernel: its name in the table of its file.
        inputs: the arrays that it reads.
        outputs: the arrays that it writes, each wholly. One may be an input too, where the kernel says so.
        ints: its whole-number attributes, in the order that its comment gives.
        reals: its other attributes.
    """

    kernel: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    ints: tuple[int, ...] = ()
    reals: tuple[float, ...] = ()


Lowering = Callable[[Op, Node, Layouts], "list[Call] | None"]
"""Makes calls of a node whose op (or gradient's op) is the first argument; None if the kernels do not cover it."""


def is_channels_last(value: Value, layouts: Layouts) -> bool:
    """Whether the channels of a value are its last axis in memory."""
    return layouts.get(value) is Layout.CHANNELS_LAST


def around_axis(value: Value, axis: int, layouts: Layouts) -> tuple[int, int, int]:
    """The value in memory as (outer, extent, inner) around an axis: elements of the axes before, of it, and behind."""
    axis %= max(len(value.shape), 1)
    shape = list(value.shape)
    order = list(range(len(shape)))
    if is_channels_last(value, layouts):
        order = [0, *range(2, len(shape)), 1]
    place = order.index(axis)
    lying = [shape[i] for i in order]
    return math.prod(lying[:place]), lying[place], math.prod(lying[place + 1 :])
