"""Launches of inner products by plain sums."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Ints, Launch, Plan, Planner

_SIDE = 16  # of the square of results that a block has
_MOST_BLOCKS = 1 << 20


def _squares(rows: int, columns: int) -> Planner:
    """A block for each square of results, given where their extents are among the attributes."""

    def plan(ints: Ints) -> Plan:
        blocks = -(-ints[rows] // _SIDE) * -(-ints[columns] // _SIDE)
        return Plan((Launch(min(blocks, _MOST_BLOCKS)),)) if blocks else Plan(())

    return plan


LAUNCHES: dict[str, Planner] = {
    "dense_forward": _squares(0, 2),
    "dense_backward_data": _squares(0, 1),
    "dense_backward_weight": _squares(2, 1),
}
