"""Launches of the update family."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import THREADS, Ints, Launch, Plan, Planner
from mocha.backends.cuda.launches.stretches import by_stretches, sum_of_stretches

_FEW = 256  # elements of a row for which a warp is enough
_MOST_BLOCKS = 1 << 20


def _constraint(ints: Ints) -> Plan:
    rows, columns = ints[:2]
    threads = 32 if columns <= _FEW else THREADS
    return Plan((Launch(min(rows, _MOST_BLOCKS), threads),)) if rows * columns else Plan(())


LAUNCHES: dict[str, Planner] = {
    "treat_gradient": by_stretches,
    "sgd_update": by_stretches,
    "nesterov_update": by_stretches,
    "global_norm": sum_of_stretches,
    "l2_norm_constraint": _constraint,
}
