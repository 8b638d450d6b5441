"""Ctrl-C while training: the iteration is finished, the state is saved, and then training ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mocha.console import logger


class Interrupt:
    """Whether Ctrl-C was pressed. It is the signal's handler."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Remember it the first time, raise the second."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        logger().warning("Interrupted: ending after this iteration. Press Ctrl-C again to stop at once.")


@contextmanager
def interrupts() -> Iterator[Interrupt]:
    """Catch the first Ctrl-C inside; the second one raises.

    Signals reach the main thread only: in another one nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
