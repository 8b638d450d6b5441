"""Launches of the standardize family."""

from __future__ import annotations

from mocha.backends.cuda.launches.channels import normalised_rows
from mocha.backends.cuda.launches.plan import Ints, Launch, Plan, Planner
from mocha.backends.cuda.launches.teams import Extents, shared_by_teams

_MOST_OF_TEAM = 4096  # elements of a row that one team takes; longer ones are taken in parts


def _rows(numbers: int) -> Planner:
    """One launch for short rows; for long ones those of the sums, of what joins them, and of what is made with them.

    Args:
        numbers: what is kept of each long row.
    """

    def plan(ints: Ints) -> Plan:
        rows, length = ints[:2]
        if length > _MOST_OF_TEAM:
            return normalised_rows(2, numbers, 1, rows, length)
        launches = shared_by_teams(Extents(rows, max(length, 1), 1))  # a row of nothing has a divisor too
        return Plan(tuple(Launch(one.blocks, one.threads, "rows", one.index) for one in launches))

    return plan


def _lengths(ints: Ints) -> Plan:
    outer, extent, inner = ints[:3]
    return Plan(shared_by_teams(Extents(outer, max(extent, 1), inner)))


LAUNCHES: dict[str, Planner] = {
    "standardize_forward": _rows(2),
    "standardize_backward": _rows(3),
    "l2_normalize_forward": _lengths,
    "l2_normalize_backward": _lengths,
}
