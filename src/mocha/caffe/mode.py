"""Where Caffe's nets run: what pycaffe's `set_mode_cpu` and its kin say."""

from __future__ import annotations

import os
import time

from mocha.backends import AbstractBackend, CudaBackend, DefaultBackend
from mocha.console import logger
from mocha.errors import BackendUnavailable

_state = {"seed": -1, "solver_count": 1, "solver_rank": 0, "device": -1}
_mode = {"name": ""}  # "", "cpu" or "gpu"


def set_mode_cpu() -> None:
    """Run the nets that are made from now on on the processor."""
    _mode["name"] = "cpu"


def set_mode_gpu() -> None:
    """Run the nets that are made from now on on the graphics card.

    Where that is not possible, a warning says why, and nets run on the processor: they compute the same, so that a
    script that asks for a card can go on.
    """
    _mode["name"] = "gpu"


def set_device(device_id: int) -> None:
    """Which graphics card to use, counted from 0, for the nets that are made from now on in that mode."""
    _state["device"] = int(device_id)


def set_random_seed(seed: int) -> None:
    """Seed of the nets that are made from now on, 0 to 2**32 - 1; -1 for the default."""
    _state["seed"] = int(seed)


def random_seed() -> int | None:
    """The seed that was set; None for the default."""
    return _state["seed"] if _state["seed"] >= 0 else None


def new_backend() -> AbstractBackend:
    """Where a new net runs: what `set_mode_gpu` or `set_mode_cpu` said last, or else the best that works here.

    Raises:
        BackendUnavailable: the environment variable MOCHA_BACKEND names a backend that cannot run here.
    """
    if _mode["name"] == "" or os.environ.get("MOCHA_BACKEND"):
        return DefaultBackend()
    if _mode["name"] == "gpu":
        try:
            return CudaBackend(number=_state["device"] if _state["device"] >= 0 else None)
        except BackendUnavailable as error:
            logger().warning("caffe.set_mode_gpu: nets run on the processor. %s", error)
    return DefaultBackend(without=("cuda",))


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
