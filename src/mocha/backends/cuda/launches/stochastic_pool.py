"""Launches of stochastic pooling."""

from __future__ import annotations

from mocha.backends.cuda.launches.pixels import of_packs
from mocha.backends.cuda.launches.plan import Planner

LAUNCHES: dict[str, Planner] = {
    "stochastic_pool_forward": of_packs(0, 4, 5, 3),
    "stochastic_mean_forward": of_packs(0, 4, 5, 3),
    "stochastic_mean_backward": of_packs(0, 1, 2, 3),
}
