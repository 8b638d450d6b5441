"""Launches over images that lie channels last: the numbers of `kernels/pixels.cuh`."""

from __future__ import annotations

import math

from mocha.backends.cuda.launches.plan import THREADS, Ints, Launch, Plan, Planner, shared_out

_PACK = 4  # elements that a thread has at once, where that many channels go into packs of 16 bytes
_WIDTH = 32  # packs of a block that sums in slices
_MOST_BLOCKS = 4096


def _packs(ints: Ints, places: tuple[int, ...]) -> int:
    """About how many packs there are, given where the sizes stand; the last one is that of the channels."""
    size = math.prod(ints[place] for place in places)
    return size // _PACK if ints[places[-1]] % _PACK == 0 else size


def of_packs(*places: int) -> Planner:
    """One launch that shares out the packs of as many elements as the product of the attributes at some places.

    Args:
        places: where the sizes stand, that of the channels last.
    """

    def plan(ints: Ints) -> Plan:
        packs = _packs(ints, places)
        return Plan((shared_out(packs),)) if packs else Plan(())

    return plan


def sums_of_packs(*places: int) -> Planner:
    """The same for sums that may be long: then a block has few packs, and cuts their sums into slices."""

    def plan(ints: Ints) -> Plan:
        packs = _packs(ints, places)
        return Plan((Launch(min(-(-packs // _WIDTH), _MOST_BLOCKS), THREADS),)) if packs else Plan(())

    return plan
