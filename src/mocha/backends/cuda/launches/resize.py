"""Launches of resizing."""

from __future__ import annotations

from mocha.backends.cuda.launches.pixels import of_packs, sums_of_packs
from mocha.backends.cuda.launches.plan import Ints, Plan, Planner

_LONG_COLUMN = 4  # rows of the result for one of the image that are worth cutting


def _backward(ints: Ints) -> Plan:
    planner = sums_of_packs if ints[4] >= _LONG_COLUMN * ints[1] else of_packs
    return planner(0, 1, 2, 3)(ints)


LAUNCHES: dict[str, Planner] = {
    "resize_bilinear_forward": of_packs(0, 4, 5, 3),
    "resize_bilinear_backward": _backward,
    "upsample_nearest_forward": of_packs(0, 4, 5, 3),
    "upsample_nearest_backward": _backward,
}
