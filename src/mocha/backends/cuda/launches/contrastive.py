"""Launches of the contrastive loss."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Planner
from mocha.backends.cuda.launches.teams import by_teams, findings_by_teams, rows

LAUNCHES: dict[str, Planner] = {
    "contrastive_forward": findings_by_teams(rows),
    "contrastive_backward": by_teams(rows),
}
