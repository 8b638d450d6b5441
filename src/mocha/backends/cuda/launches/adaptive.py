"""Launches of the adaptive family."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Planner
from mocha.backends.cuda.launches.stretches import by_stretches

LAUNCHES: dict[str, Planner] = dict.fromkeys(("adam_update", "root_update", "adadelta_update"), by_stretches)
