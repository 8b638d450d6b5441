"""Launches of convolutions by plain sums."""

from __future__ import annotations

import math

from mocha.backends.cuda.launches.plan import Ints, Plan, Planner, elements, shared_out


def _filters(ints: Ints) -> Plan:
    k, c, groups = ints[4], ints[1], ints[13]
    count = k * (c // groups) * math.prod(ints[5:7])
    return Plan((shared_out(count),)) if count else Plan(())


LAUNCHES: dict[str, Planner] = {
    "conv_forward": elements(0, 14, 15, 4),
    "conv_backward_data": elements(0, 1, 2, 3),
    "conv_backward_filter": _filters,
}
