"""Launches that turn filters."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Planner, elements

LAUNCHES: dict[str, Planner] = {"turn_filters": elements(0, 1, 2), "turn_filters_back": elements(0, 1, 2)}
