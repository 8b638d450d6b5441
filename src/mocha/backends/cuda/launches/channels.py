"""Passes over arrays (outer, channels, inner) and sums over their channels: the numbers of `kernels/channels.cuh`."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import THREADS, Ints, Launch, Plan, Planner

_MOST_LANES = 32
_FEW_POSITIONS, _MOST_POSITIONS = 8, 128  # of a thread
_ENOUGH_BLOCKS = 1024
_WIDTH = 4  # elements of a position, where that divides what lies side by side
_FEW_PARTS = 64  # for which a warp is enough
_DOUBLE = 8  # bytes


def by_channels(ints: Ints) -> Plan:
    """One launch of a function of elements and of numbers of their channel."""
    outer, channels, inner = ints[:3]
    return Plan((_over_all(outer, channels, inner),)) if channels else Plan(())


def channel_sums(kept: int) -> Planner:
    """Two launches: the parts of each channel, of `kept` sums each; and a block a channel that joins them."""

    def plan(ints: Ints) -> Plan:
        outer, channels, inner = ints[:3]
        if not channels:
            return Plan(())
        parts, join, scratch = _sums(kept, outer, channels, inner)
        return Plan((parts, join), scratch)

    return plan


def normalised(kept: int, numbers: int) -> Planner:
    """Three launches: the parts of each channel; "join"; a function of elements and of what was joined.

    Args:
        kept: sums of each part.
        numbers: what "join" leaves of each channel behind the sums.
    """

    def plan(ints: Ints) -> Plan:
        outer, channels, inner = ints[:3]
        return normalised_rows(kept, numbers, outer, channels, inner)

    return plan


def normalised_rows(kept: int, numbers: int, outer: int, channels: int, inner: int) -> Plan:
    """The same for an extent that does not stand in the attributes like that."""
    if not channels:
        return Plan(())
    parts, join, scratch = _sums(kept, outer, channels, inner, "join")
    launches = (parts, join, _over_all(outer, channels, inner))
    return Plan(launches, scratch + _DOUBLE * numbers * channels)


def _sums(kept: int, outer: int, channels: int, inner: int, last: str = "") -> tuple[Launch, Launch, int]:
    """The launch that sums, the `last` one that joins, and bytes for what is between."""
    parts = _shares(outer, channels, inner)[1]
    join = Launch(channels, 32 if parts <= _FEW_PARTS else THREADS, last)
    return _over_all(outer, channels, inner, "parts"), join, _DOUBLE * kept * parts * channels


def _over_all(outer: int, channels: int, inner: int, part: str = "") -> Launch:
    groups, parts = _shares(outer, channels, inner)
    return Launch(groups * parts, THREADS, part)


def _shares(outer: int, channels: int, inner: int) -> tuple[int, int]:
    """Groups of channels for positions that are as wide as said above, and parts in which each channel is taken."""
    if channels == 1:
        outer, inner = 1, outer * inner
    last = inner == 1
    width = 1 if (channels if last else inner) % _WIDTH else _WIDTH
    columns, positions = (channels // width, outer) if last else (channels, outer * (inner // width))
    groups = -(-columns // _MOST_LANES) if last else columns
    rows = THREADS // -(-columns // groups)
    wanted = min(-(-positions // (_FEW_POSITIONS * rows)), -(-_ENOUGH_BLOCKS // groups))
    return groups, max(wanted, -(-positions // (_MOST_POSITIONS * rows)), 1)
