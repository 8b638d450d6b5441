"""Launches of the cross entropy of sigmoids."""

from __future__ import annotations

from mocha.backends.cuda.launches.findings import counted_before, found_in_elements
from mocha.backends.cuda.launches.plan import Ints, Plan, Planner, elements


def _backward(ints: Ints) -> Plan:
    return counted_before(ints[0], ints[3], elements(0)(ints).launches)


LAUNCHES: dict[str, Planner] = {
    "sigmoid_loss_forward": found_in_elements,
    "sigmoid_loss_backward": _backward,
}
