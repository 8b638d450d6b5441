"""Stretches of tensors, a block for each: the numbers of `kernels/update.cuh`."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import THREADS, Ints, Launch, Plan

_OF_UPDATE, _OF_NORM = 2048, 8192  # elements
_DOUBLE = 8  # bytes


def by_stretches(ints: Ints) -> Plan:
    """One launch, for ints = {tensors, elements of each}."""
    stretches = _stretches(ints, _OF_UPDATE)
    return Plan((Launch(stretches),)) if stretches else Plan(())


def sum_of_stretches(ints: Ints) -> Plan:
    """A sum of each stretch, and one block that joins them."""
    stretches = _stretches(ints, _OF_NORM)
    join = Launch(1, max(min(-(-stretches // 32) * 32, 1024), 32))
    launches = (Launch(stretches, THREADS, "parts"), join) if stretches else (join,)
    return Plan(launches, _DOUBLE * stretches)


def _stretches(ints: Ints, elements: int) -> int:
    return sum(-(-size // elements) for size in ints[1:])
