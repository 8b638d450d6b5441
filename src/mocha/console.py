"""The one logger that Mocha writes its lines to.

It is the standard logger ``mocha``. Unless the program configured logging itself, lines from level INFO on go to
standard error, so that a training script shows its progress without ceremony.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _StandardError(logging.Handler):
    """Writes to whatever `sys.stderr` is at that moment, so that a progress bar can redirect it."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def logger() -> logging.Logger:
    """The logger named ``mocha``, with a handler of its own only where the program configured none."""
    log = logging.getLogger("mocha")
    if not log.handlers and not logging.getLogger().handlers:
        handler = _StandardError()
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
        log.addHandler(handler)
        if log.level == logging.NOTSET:
            log.setLevel(logging.INFO)
    return log


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, lines below a warning are not written."""
    log = logger()
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)
