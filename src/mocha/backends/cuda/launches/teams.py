"""Launches in which teams of threads take the positions of arrays (outer, classes, inner): see `kernels/teams.cuh`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mocha.backends.cuda.launches.findings import found
from mocha.backends.cuda.launches.plan import THREADS, Ints, Launch, Plan, Planner

_WARP = 32
_MOST_THREADS = 1024
_MOST_OF_WARP = 256  # classes side by side that a warp takes
_EACH = 4  # classes that a thread takes of more
_WORTH_SHARING, _FEW_POSITIONS = 16, 32768  # so many classes at least, and fewer positions
_MOST_BLOCKS = 4096
_MOST_PARTS = 2048
_MOST_ROUNDS = 4  # positions after which a single block leaves it to many


class Extents(NamedTuple):
    """Of an array."""

    outer: int
    classes: int
    inner: int


def around(ints: Ints) -> Extents:
    """The extents of calls that have them as their first attributes."""
    return Extents(*ints[:3])


def rows(ints: Ints) -> Extents:
    """The extents of calls whose first attributes are rows and their length."""
    return Extents(ints[0], ints[1], 1)


class _Block(NamedTuple):
    """Teams of a block, its threads, and the number that stands for the sort of teams."""

    teams: int
    threads: int
    sort: int


def _block(extents: Extents, threads: int) -> _Block:
    """A block of so many threads, if it does not depend on the classes how many it has, or of all that are needed."""
    outer, classes, inner = extents
    positions = outer * inner
    if inner == 1 and classes > _MOST_OF_WARP:
        return _Block(1, _whole_warps(-(-classes // _EACH)), 0)
    if inner > 1 and classes >= _WORTH_SHARING and positions < _FEW_POSITIONS:
        return _Block(_WARP, THREADS, -1)
    lanes = 1
    while inner == 1 and 2 * lanes < classes and lanes < _WARP:
        lanes *= 2
    threads = min(threads, _whole_warps(positions * lanes))
    return _Block(threads // lanes, threads, lanes)


def _whole_warps(threads: int) -> int:
    return min(max(-(-threads // _WARP), 1) * _WARP, _MOST_THREADS)


def shared_by_teams(extents: Extents) -> tuple[Launch, ...]:
    """One launch; none if there are no elements."""
    outer, classes, inner = extents
    if not outer * classes * inner:
        return ()
    teams, threads, sort = _block(extents, THREADS)
    return (Launch(min(-(-outer * inner // teams), _MOST_BLOCKS), threads, index=sort),)


def found_by_teams(extents: Extents) -> Plan:
    """A sum over all positions: a single block if that has little to do."""
    positions = extents.outer * extents.inner
    teams, threads, sort = _block(extents, _MOST_THREADS)
    if positions <= _MOST_ROUNDS * teams:
        return found(1, threads, sort)
    teams, threads, sort = _block(extents, THREADS)
    return found(min(-(-positions // teams), _MOST_PARTS), threads, sort)


def by_teams(extents: Callable[[Ints], Extents] = around) -> Planner:
    """One launch."""
    return lambda ints: Plan(shared_by_teams(extents(ints)))


def findings_by_teams(extents: Callable[[Ints], Extents] = around) -> Planner:
    """What `kernels/findings.cuh` does, by teams."""
    return lambda ints: found_by_teams(extents(ints))
