"""Launches of the loss family."""

from __future__ import annotations

from mocha.backends.cuda.launches.findings import counted_before, found_in_elements, found_in_places
from mocha.backends.cuda.launches.plan import Ints, Plan, Planner, elements
from mocha.backends.cuda.launches.teams import around, by_teams, findings_by_teams, shared_by_teams


def labelled_backward(ints: Ints) -> Plan:
    """One launch by teams; a count of the labels before, if their number is to be divided by."""
    return counted_before(ints[0] * ints[2], ints[6], shared_by_teams(around(ints)))


LAUNCHES: dict[str, Planner] = {
    "softmax_loss_forward": findings_by_teams(),
    "softmax_loss_backward": labelled_backward,
    "multinomial_loss_forward": found_in_places(0, 2),
    "multinomial_loss_backward": by_teams(),
    "square_loss_forward": found_in_elements,
    "square_loss_backward": elements(0),
    "accuracy": findings_by_teams(),
}
