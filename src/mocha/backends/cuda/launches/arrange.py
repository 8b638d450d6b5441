"""Launches of what moves elements to other places: the numbers of `kernels/arrange.cu`."""

from __future__ import annotations

import math

from mocha.backends.cuda.launches.plan import THREADS, Ints, Launch, Plan, Planner, elements, shared_out

_MOST_BLOCKS = 1 << 16
_FEW_TILES, _MANY_SUMS = 64, 1 << 15
_WIDTH = 32  # sums of a block, where they lie side by side


def _tile_backward(ints: Ints) -> Plan:
    outer, block, tiles = ints
    if not outer * block:
        return Plan(())
    if tiles < _FEW_TILES or outer * block >= _MANY_SUMS:
        return Plan((shared_out(outer * block),))
    width = min(1 << (block - 1).bit_length(), _WIDTH)
    return Plan((Launch(outer * -(-block // width), THREADS),))


def _box(which: int) -> Planner:
    """A thread for each element of the array (0) or of the box (2)."""

    def plan(ints: Ints) -> Plan:
        count = math.prod(ints[1 + which :: 3])
        return Plan((shared_out(count),)) if count else Plan(())

    return plan


def _transpose(ints: Ints) -> Plan:
    count = math.prod(ints[1::2])
    return Plan((Launch(min(-(-count // THREADS), _MOST_BLOCKS)),)) if count else Plan(())


LAUNCHES: dict[str, Planner] = {
    "tile_forward": elements(0, 1, 2),
    "tile_backward": _tile_backward,
    "window_forward": _box(2),
    "window_backward": _box(0),
    "transpose_axes": _transpose,
}
