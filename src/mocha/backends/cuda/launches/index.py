"""Launches of class numbers."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Ints, Plan, Planner, elements, shared_out
from mocha.backends.cuda.launches.teams import around, by_teams, shared_by_teams

_FEW = 16  # elements that are looked for one after the other
_SO_FEW = 4096  # of so many times more likewise


def _top_k_forward(ints: Ints) -> Plan:
    outer, extent, inner, k = ints
    if k <= _FEW or k * _SO_FEW <= extent or not outer * inner:
        return Plan(shared_by_teams(around(ints)))
    return Plan((shared_out(outer * extent * inner, part="ranks"),))


def _top_k_backward(ints: Ints) -> Plan:
    outer, extent, inner, k = ints
    if not outer * inner:
        return Plan(())
    return Plan((shared_out(outer * extent * inner, part="parts"), shared_out(outer * k * inner)))


LAUNCHES: dict[str, Planner] = {
    "argmax": by_teams(),
    "top_k_forward": _top_k_forward,
    "top_k_backward": _top_k_backward,
    "one_hot": elements(0, 1, 2),
}
