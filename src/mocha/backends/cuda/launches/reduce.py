"""Launches of reductions: the numbers of `kernels/reduce.cu`."""

from __future__ import annotations

import math

from mocha.backends.cuda.launches.plan import THREADS, Ints, Launch, Plan, Planner, shared_out

_MOST_BLOCKS = 1 << 20
_FEW = 128  # elements of a result for which a warp is enough


def _axes(ints: Ints) -> tuple[int, int]:
    """Results, and elements that go into each."""
    extents, reduced = ints[1::2], ints[2::2]
    results = math.prod(n for n, gone in zip(extents, reduced, strict=True) if not gone)
    return results, math.prod(n for n, gone in zip(extents, reduced, strict=True) if gone)


def _reduce(ints: Ints) -> Plan:
    results, each_of = _axes(ints)
    parts = max(min(-(-each_of // 2048), -(-1024 // results)), 1)
    threads = 32 if each_of <= _FEW else THREADS
    blocks = min(results * parts, _MOST_BLOCKS)
    return Plan((Launch(blocks, threads, "parts"), shared_out(results)), 8 * results * parts)


def _spread(ints: Ints) -> Plan:
    return Plan((shared_out(math.prod(_axes(ints))),))


LAUNCHES: dict[str, Planner] = {
    **dict.fromkeys(("reduce_sum", "reduce_mean", "reduce_squares"), _reduce),
    **dict.fromkeys(("reduce_sum_backward", "reduce_mean_backward", "reduce_squares_backward"), _spread),
}
