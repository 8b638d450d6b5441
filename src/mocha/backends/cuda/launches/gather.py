"""Launches of what takes rows and cells by number: the numbers of `kernels/gather.cu`."""

from __future__ import annotations

from mocha.backends.cuda.launches.plan import THREADS, Ints, Launch, Plan, Planner, elements, shared_out

_BLOCKS = 2048  # that share out the rows whose gradients are added up
_SELECTORS = 1024  # threads of the one block that looks at them


def _take_rows_backward(ints: Ints) -> Plan:
    named, rows, width = ints[:3]
    if not rows * width:
        return Plan(())
    groups = -(-width // THREADS)  # of columns
    ranges = min(rows, max(_BLOCKS // groups, 1))
    return Plan((shared_out(named, part="numbers"), Launch(groups * ranges)), 4 * named)


def _select_rows(place: int) -> Planner:
    """A thread for each element of as many rows as the attribute at a place says."""

    def plan(ints: Ints) -> Plan:
        rows, width = ints[place], ints[2]
        if not rows * width:
            return Plan(())
        return Plan((Launch(1, _SELECTORS, "places"), shared_out(rows * width)), 4 * rows)

    return plan


def _unpool(ints: Ints) -> Plan:
    planes, numbers, cells = ints[:3]
    if not planes * cells:
        return Plan(())
    launches = shared_out(planes * cells, part="clear"), shared_out(planes * numbers, part="chain")
    return Plan((*launches, shared_out(planes * cells)), 4 * planes * (cells + numbers))


LAUNCHES: dict[str, Planner] = {
    "take_rows_forward": elements(0, 2),
    "take_rows_backward": _take_rows_backward,
    "select_rows_forward": _select_rows(1),
    "select_rows_backward": _select_rows(0),
    "unpool_forward": _unpool,
    "unpool_backward": elements(0, 1),
}
