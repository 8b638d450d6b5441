"""Work shared by threads, its results in order."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mocha.errors import ConfigError

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 4  # items a thread that wait or are worked on


def checked_workers(workers: int | None) -> int:
    """A number of threads; None means one for each processor that this process may use.

    Raises:
        ConfigError: it is not a whole number above 0.
    """
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ConfigError(f"workers is {workers!r}; expected a whole number above 0.")
    return workers


def mapped(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """What a function makes of each item, in the order of the items, worked out by threads a little ahead.

    Args:
        function: called in the threads. What it raises is raised here, at its item's turn.
        items: taken one by one.
        workers: threads, > 0.
    """
    waiting: collections.deque[Future[R]] = collections.deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="mocha-convert") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= _AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
