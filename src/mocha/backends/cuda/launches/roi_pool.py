"""Launches of pooling of regions."""

from __future__ import annotations

import math

from mocha.backends.cuda.launches.plan import Ints, Launch, Plan, Planner, shared_out

_REGION = 40  # bytes that are kept of a region, at most


def _with_regions(ints: Ints, size: int) -> Plan:
    """One launch that reads the regions, and one for results or cells."""
    regions = ints[4]
    launches: list[Launch] = [shared_out(regions, part="regions")] if regions else []
    if size:
        launches.append(shared_out(size))
    return Plan(tuple(launches), _REGION * regions)


def _forward(ints: Ints) -> Plan:
    _, channels, _, _, *results = ints
    return _with_regions(ints, math.prod((channels, *results)))


def _backward(ints: Ints) -> Plan:
    return _with_regions(ints, math.prod(ints[:4]))


LAUNCHES: dict[str, Planner] = {"roi_pool_forward": _forward, "roi_pool_backward": _backward}
