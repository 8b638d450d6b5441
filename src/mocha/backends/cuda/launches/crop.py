"""Launches of cropping."""

from __future__ import annotations

import math

from mocha.backends.cuda.launches.plan import Ints, Plan, Planner, elements, shared_out


def _forward(ints: Ints) -> Plan:
    """The place of each image's window first: it is drawn once."""
    images, channels, _, _, *window = ints[:6]
    size = math.prod((images, channels, *window))
    launches = [shared_out(images, part="places")] if images else []
    return Plan((*launches, shared_out(size)) if size else tuple(launches))


LAUNCHES: dict[str, Planner] = {"crop_forward": _forward, "crop_backward": elements(0, 1, 2, 3)}
