"""Launches of the random family."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Ints, Plan, Planner, shared_out

_AT_ONCE = 4  # elements that a thread takes, at least


def _dropout(ints: Ints) -> Plan:
    return Plan((shared_out(-(-ints[0] // _AT_ONCE)),)) if ints[0] else Plan(())


LAUNCHES: dict[str, Planner] = {
    "dropout_forward": _dropout,
    "dropout_backward": _dropout,
}
