"""Launches of pooling."""

from __future__ import annotations

from mocha.backends.cuda.launches.pixels import of_packs, sums_of_packs
from mocha.backends.cuda.launches.plan import Ints, Plan, Planner, elements

_LONG_WINDOW = 4  # what is worth cutting, down or across


def _mean(ints: Ints) -> Plan:
    planner = sums_of_packs if max(ints[6:8]) >= _LONG_WINDOW else of_packs
    return planner(0, 4, 5, 3)(ints)


LAUNCHES: dict[str, Planner] = {
    "max_pool_forward": of_packs(0, 4, 5, 3),
    "max_pool_backward": of_packs(0, 1, 2, 3),
    "winner_places": elements(0, 4, 5, 3),
    "mean_pool_forward": _mean,
    "mean_pool_backward": of_packs(0, 1, 2, 3),
}
