"""Times contestants in turns, so that what the machine does meanwhile meets all of them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

PAUSE = 0.02
"""Seconds before each turn: threads of the one before stop waiting for work."""
LONG = 1.0
"""A call that takes as many seconds needs no other one before it to warm up."""


def race(calls: dict[str, Callable[[], object]], rounds: int, turn: float = 0.2) -> dict[str, list[float]]:
    """Seconds of one call, measured once a round.

    Args:
        calls: the contestants.
        rounds: how often each has its turn; the first of a round is another one each time.
        turn: seconds that a turn takes at least: the call is repeated as often as that needs.

    Returns:
        name -> one mean a round.
    """
    repeats, slow = {}, {}
    for name, call in calls.items():
        repeats[name], seconds = _repeats(call, turn)
        slow[name] = seconds > LONG
    samples: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(rounds):
        first = number % len(names) if names else 0
        for name in names[first:] + names[:first]:
            call, count = calls[name], repeats[name]
            time.sleep(PAUSE)
            if not slow[name]:
                call()
            start = time.perf_counter()
            for _ in range(count):
                call()
            samples[name].append((time.perf_counter() - start) / count)
    return samples


def _repeats(call: Callable[[], object], turn: float) -> tuple[int, float]:
    """How many calls take `turn` seconds, and seconds of one, after a first that may be slow for being the first."""
    call()
    seconds = _seconds(call)
    if seconds < turn:
        seconds = min(seconds, *(_seconds(call) for _ in range(3)))
    return max(1, math.ceil(turn / max(seconds, 1e-9))), seconds


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def summary(samples: list[float]) -> dict[str, float]:
    """Median and spread."""
    low, _, high = statistics.quantiles(samples, n=4) if len(samples) > 1 else samples * 3
    return {
        "median": statistics.median(samples),
        "min": min(samples),
        "lower quartile": low,
        "upper quartile": high,
        "max": max(samples),
    }
