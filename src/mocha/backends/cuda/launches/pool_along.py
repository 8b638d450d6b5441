"""Launches of pooling along an axis."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Planner, elements

LAUNCHES: dict[str, Planner] = {
    "max_pool_along_forward": elements(0, 3, 2),
    "max_pool_along_backward": elements(0, 1, 2),
    "mean_pool_along_forward": elements(0, 3, 2),
    "mean_pool_along_backward": elements(0, 1, 2),
}
