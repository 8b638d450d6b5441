"""Launches of the softmax family."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Planner
from mocha.backends.cuda.launches.teams import by_teams

LAUNCHES: dict[str, Planner] = {
    "softmax_forward": by_teams(),
    "softmax_backward": by_teams(),
}
