"""Launches that find out a sum over an array: the numbers of `kernels/findings.cuh`."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import THREADS, Ints, Launch, Plan, Planner

_BYTES = 16  # of what a block finds
_COUNTED_BY_EACH = 1024  # positions that each block counts for itself
_COUNTED_BY_BLOCK = 4096  # that a block counts where they are shared out
_MOST_COUNTING = 256  # blocks
_MOST_THREADS = 1024
_ALONE = 16384  # elements that a single block sums
_SUMMED = 4096  # that a block sums where they are shared out
_MOST_SUMMING = 1024


def found(blocks: int, threads: int, index: int = 0) -> Plan:
    """One launch of a single block, or one of many and one that joins what they left."""
    first = Launch(blocks, threads, "parts", index)
    return Plan((first,)) if blocks == 1 else Plan((first, Launch(1)), _BYTES * (1 + blocks))


def found_in_elements(ints: Ints) -> Plan:
    """A sum over as many elements as the first attribute says."""
    n = ints[0]
    if n <= _ALONE:
        return found(1, min(max(-(-n // 128), 1) * 32, _MOST_THREADS))  # four elements a thread and round
    return found(min(-(-n // _SUMMED), _MOST_SUMMING), THREADS)


def found_in_places(*places: int) -> Planner:
    """A sum over as many elements as the product of the attributes at some places, each thread one at a time."""

    def plan(ints: Ints) -> Plan:
        n = 1
        for place in places:
            n *= ints[place]
        if n <= _ALONE // 4:
            return found(1, min(max(-(-n // 32), 1) * 32, _MOST_THREADS))
        return found(min(-(-n // (_SUMMED // 4)), _MOST_SUMMING), THREADS)

    return plan


def counted_before(n: int, given: int, launches: tuple[Launch, ...]) -> Plan:
    """A launch that counts which of n positions are not ignored, if they are many and nobody knows; then others."""
    if given or n <= _COUNTED_BY_EACH or not launches:
        return Plan(launches)
    blocks = min(-(-n // _COUNTED_BY_BLOCK), _MOST_COUNTING)
    return Plan((Launch(blocks, THREADS, "parts"), *launches), 8 * (1 + blocks))
