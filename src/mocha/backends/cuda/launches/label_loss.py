"""Launches of losses and a measure of all scores of a position."""

from __future__ import annotations

from mocha.backends.cuda.launches.loss import labelled_backward
from mocha.backends.cuda.launches.plan import Ints, Launch, Plan, Planner, shared_out
from mocha.backends.cuda.launches.teams import around, by_teams, findings_by_teams, found_by_teams, rows

_FEW_CLASSES = 64  # that a single block counts
_FEW_SAID = 1024  # positions that a thread counts for a class
_MOST_BLOCKS = 1 << 16


def _rank_accuracy(ints: Ints) -> Plan:
    outer, classes, inner = extents = around(ints)
    first = found_by_teams(extents).launches[0]
    scratch = 4 * outer * inner
    if first.blocks == 1 and classes <= _FEW_CLASSES:
        return Plan((first,), scratch)
    # a single block would count as well
    several = Launch(max(first.blocks, 2), first.threads, first.part, first.index)
    counting = shared_out(classes) if outer * inner <= _FEW_SAID else Launch(min(classes, _MOST_BLOCKS))
    return Plan((several, counting), scratch)


LAUNCHES: dict[str, Planner] = {
    "infogain_forward": findings_by_teams(),
    "infogain_backward": labelled_backward,
    "multiclass_hinge_forward": findings_by_teams(rows),
    "multiclass_hinge_backward": by_teams(rows),
    "rank_accuracy": _rank_accuracy,
}
