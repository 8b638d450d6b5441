"""What starting a kernel takes: the launches of a call, and the scratch memory that they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

THREADS = 256
"""Of a block, where a kernel does not say otherwise."""
_MOST_BLOCKS = 4096
"""Of kernels that share out elements: enough for the largest GPU, few enough that none has next to nothing to do."""


class Launch(NamedTuple):
    """One start of a kernel.

    Attributes:
        blocks: how many, at least one.
        threads: of a block: whole warps, at most 1024.
        part: which function of the call it is: "" for the one named like the call, "parts" for `<name>_parts`.
        index: a number for the kernel, `step.index`: by it launches of one function tell themselves apart.
    """

    blocks: int
    threads: int = THREADS
    part: str = ""
    index: int = 0  # type: ignore[assignment]  # a tuple's method, which nobody wants of a launch


class Plan(NamedTuple):
    """The launches of one call, in order.

    Attributes:
        launches: none for a call that has nothing to do.
        scratch: bytes of memory that the launches share, whatever was in it before.
    """

    launches: tuple[Launch, ...]
    scratch: int = 0


Ints = Sequence[int]
"""The whole-number attributes of a call."""
Planner = Callable[[Ints], Plan]
"""Plans the launches of a call, given its whole-number attributes."""


def shared_out(elements: int, threads: int = THREADS, part: str = "") -> Launch:
    """A launch in which each thread takes some elements, with a grid that is not larger than it need be."""
    return Launch(min(max(-(-elements // threads), 1), _MOST_BLOCKS), threads, part)


def elements(*places: int) -> Planner:
    """One launch that shares out as many elements as the product of the attributes at some places."""

    def plan(ints: Ints) -> Plan:
        count = 1
        for place in places:
            count *= ints[place]
        return Plan((shared_out(count),)) if count else Plan(())

    return plan


def blocks(*places: int, threads: int = THREADS) -> Planner:
    """One launch with a block for each of as many things as the product of the attributes at some places."""

    def plan(ints: Ints) -> Plan:
        count = 1
        for place in places:
            count *= ints[place]
        return Plan((Launch(min(count, 1 << 30), threads),)) if count else Plan(())

    return plan
