"""Where Caffe's nets run: what pycaffe's `set_mode_cpu` and its kin say."""

from __future__ import annotations

import time

from mocha.backends import AbstractBackend, DefaultBackend
from mocha.console import logger

_state = {"seed": -1, "solver_count": 1, "solver_rank": 0}


def set_mode_cpu() -> None:
    """Run nets on the processor: what they do unless told."""


def set_mode_gpu() -> None:
    """Asks for the graphics card. There is no backend for it yet, so that nets run on the processor, as a warning says.

    They compute the same, so that a script that asks for it can go on.
    """
    logger().warning("caffe.set_mode_gpu: there is no backend for graphics cards yet; nets run on the processor.")


def set_device(device_id: int) -> None:
    """Which graphics card to use: it has no meaning as long as nets run on the processor."""


def set_random_seed(seed: int) -> None:
    """Seed of the nets that are made from now on, 0 to 2**32 - 1; -1 for the default."""
    _state["seed"] = int(seed)


def random_seed() -> int | None:
    """The seed that was set; None for the default."""
    return _state["seed"] if _state["seed"] >= 0 else None


def new_backend() -> AbstractBackend:
    """Where a new net runs."""
    return DefaultBackend()


def has_nccl() -> bool:
    """Whether several graphics cards can be used: they cannot."""
    return False


def solver_count() -> int:
    """How many solvers work together."""
    return _state["solver_count"]


def set_solver_count(count: int) -> None:
    """Say how many solvers work together."""
    _state["solver_count"] = int(count)


def solver_rank() -> int:
    """Which of the solvers this process is."""
    return _state["solver_rank"]


def set_solver_rank(rank: int) -> None:
    """Say which of the solvers this process is."""
    _state["solver_rank"] = int(rank)


def set_multiprocess(several: bool) -> None:
    """Say whether the solvers are in several processes."""


def init_log(level: int = 0) -> None:
    """Nothing is left to do: lines go to the standard logger ``mocha``."""


def log(message: str) -> None:
    """Write a line."""
    logger().info("%s", message)


class Timer:
    """Measures time between `start` and `stop`."""

    def __init__(self) -> None:
        self._from = self._to = time.perf_counter()

    def start(self) -> None:
        """Begin."""
        self._from = self._to = time.perf_counter()

    def stop(self) -> None:
        """End."""
        self._to = time.perf_counter()

    @property
    def ms(self) -> float:
        """Milliseconds in between."""
        return 1000 * (self._to - self._from)
