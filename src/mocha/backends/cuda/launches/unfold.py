"""Launches of windows written out."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Planner, elements

LAUNCHES: dict[str, Planner] = {
    "unfold_forward": elements(0, 1, 4, 5, 12, 13),
    "unfold_backward": elements(0, 1, 2, 3),
}
