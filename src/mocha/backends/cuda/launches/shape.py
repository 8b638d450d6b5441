"""Launches of what moves elements."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Ints, Launch, Plan, Planner, elements

_SIDE = 32  # of a square that is turned at once
_MOST_SQUARES = 1 << 16  # a block of its own each; then blocks take several


def _turn(ints: Ints) -> Plan:
    batch, rows, columns = ints
    squares = batch * -(-rows // _SIDE) * -(-columns // _SIDE)
    return Plan((Launch(min(squares, _MOST_SQUARES)),))


LAUNCHES: dict[str, Planner] = {
    "copy": elements(0),
    "narrow": elements(0),
    "broaden": elements(0),
    "fill": elements(0),
    "concat": elements(0, 1),
    "slice": elements(0, 1),
    "turn": _turn,
}
