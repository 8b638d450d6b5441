"""Launches of the maximum family."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Planner, elements

LAUNCHES: dict[str, Planner] = {
    "maximum_forward": elements(0),
    "maximum_backward": elements(0),
}
