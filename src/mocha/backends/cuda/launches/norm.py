"""Launches of local response normalisation: the ways of `kernels/norm.cu`."""

from __future__ import annotations

import math

from mocha.backends.cuda.launches.pixels import of_packs
from mocha.backends.cuda.launches.plan import Ints, Plan, Planner, shared_out


def _in_packs(ints: Ints) -> bool:
    channels, size, across = ints[3:6]
    return bool(across) and size in (3, 5) and channels % 8 == 0


def _forward(ints: Ints) -> Plan:
    count = math.prod(ints[:4])
    if not count:
        return Plan(())
    return of_packs(0, 1, 2, 3)(ints) if _in_packs(ints) else Plan((shared_out(count),))


def _backward(ints: Ints) -> Plan:
    """A further number for each element, where windows are not taken in packs."""
    count = math.prod(ints[:4])
    if not count or _in_packs(ints):
        return _forward(ints)
    return Plan((shared_out(count, part="parts"), shared_out(count)), 8 * count)


LAUNCHES: dict[str, Planner] = {"lrn_forward": _forward, "lrn_backward": _backward}
