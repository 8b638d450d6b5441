"""Launches of losses and a measure of two blobs."""

from __future__ import annotations

from mocha.backends.cuda.launches.findings import found_in_elements, found_in_places
from mocha.backends.cuda.launches.plan import Planner, elements
from mocha.backends.cuda.launches.teams import by_teams, findings_by_teams

LAUNCHES: dict[str, Planner] = {
    "softlabel_loss_forward": findings_by_teams(),
    "softlabel_loss_backward": by_teams(),
    **dict.fromkeys(("cross_entropy_forward", "hinge_loss_forward", "gaussian_kl_forward"), found_in_elements),
    **dict.fromkeys(("cross_entropy_backward", "hinge_loss_backward", "gaussian_kl_backward"), elements(0)),
    "binary_accuracy": found_in_places(0),
}
