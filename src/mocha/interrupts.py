"""Ctrl-C in the middle of work that is done step by step: the step is finished, and then the work ends.

Left to Python, the interruption is raised wherever the program happens to be; where a library called back, it is lost.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mocha.console import logger


class Interrupt:
    """Whether Ctrl-C was pressed. It is the signal's handler.

    Args:
        told: the line that is logged then; none if empty.
    """

    def __init__(self, told: str) -> None:
        self.asked = False
        self._told = told

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Remember it the first time, raise the second."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self._told:
            logger().warning(self._told)


@contextmanager
def interrupts(told: str = "") -> Iterator[Interrupt]:
    """Catch the first Ctrl-C inside, and log a line; the second one raises.

    Signals reach the main thread only: in another one nothing changes.
    """
    interrupt = Interrupt(told)
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
