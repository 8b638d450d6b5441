"""Launches of recurrent networks: the numbers of `kernels/recurrent.cu`. A sequence takes one for each step."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import Ints, Launch, Plan, Planner, elements, shared_out

_SMALL_FORWARD, _SMALL_BACK, _WIDE = (16, 32), (8, 16), (64, 64)  # rows and columns of a block
_MANY_BLOCKS = 100  # wide ones that keep a GPU busy
_TURNED, _SIDE = 32, 64  # squares of the weight, and of its gradient
_PART, _PARTS = 256, 264  # rows worth a part of the weight's gradient; blocks that its parts make
_ELEMENT = 8  # bytes, of the larger type


def _forward(gates: int) -> Planner:
    def plan(ints: Ints) -> Plan:
        steps, sequences, units = ints
        if not sequences:
            return Plan(())
        blocks, part = _blocks(_SMALL_FORWARD, sequences, units, gates)
        launches = [Launch(blocks, part=part, index=t) for t in range(steps)]
        return Plan((*launches, shared_out(sequences * units)))

    return plan


def _backward(gates: int) -> Planner:
    def plan(ints: Ints) -> Plan:
        steps, sequences, units = ints[:3]
        dx, dw, *of_states = ints[3:]
        rows, depth, size = gates * units, steps * sequences, gates * units * units
        launches = []
        if sequences:
            launches.append(Launch(-(-rows // _TURNED) * -(-units // _TURNED), part="turn"))
            blocks, part = _blocks(_SMALL_BACK, sequences, units, 1)
            first = -1 if any(of_states) else 0
            launches += [Launch(blocks, part=part, index=t) for t in range(steps - 1, first - 1, -1)]
        scratch = _room(size)
        if gates > 1:
            scratch += _room(sequences * units)
        if not dx:
            scratch += _room(depth * rows)
        if dw:
            squares = -(-rows // _SIDE) * -(-units // _SIDE)
            parts = max(min(-(-_PARTS // squares), -(-depth // _PART)), 1)
            launches += [Launch(squares * parts, part="weight"), shared_out(size)]
            scratch += parts * size
        return Plan(tuple(launches), _ELEMENT * scratch)

    return plan


def _blocks(small: tuple[int, int], sequences: int, units: int, columns_each: int) -> tuple[int, str]:
    """How many a step has, and which part of the call they run."""
    wide, few = (-(-sequences // rows) * -(-units // (columns // columns_each)) for rows, columns in (_WIDE, small))
    return (wide, "wide") if wide >= _MANY_BLOCKS else (few, "step")


def _room(elements: int) -> int:
    return -(-elements // 32) * 32


LAUNCHES: dict[str, Planner] = {
    "lstm_forward": _forward(4),
    "rnn_forward": _forward(1),
    "lstm_backward": _backward(4),
    "rnn_backward": _backward(1),
    "lstm_unit_forward": elements(0, 1),
    "lstm_unit_backward": elements(0, 1),
}
