"""The one logger that Mocha writes its lines to, and its progress bar.

It is the standard logger ``mocha``. Unless the program configured logging itself, lines from level INFO on go to
standard error, so that a training script shows its progress without ceremony.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


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


def printable(name: object, encoding: str | None = None) -> str:
    """A name, as of a file, that can be encoded: bytes that were no text are written as Python does.

    Args:
        name: the name.
        encoding: where it goes; None: that of standard output.
    """
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    return str(name).encode(encoding, "backslashreplace").decode(encoding)


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def progress_bar() -> Any:
    """A progress bar below the lines that are printed, on standard error: a `rich.progress.Progress`.

    A task of it has the field `rate`, a text.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # What is printed meanwhile goes above the bar, but never out of the file that standard output was sent to.
    to_terminal = sys.stdout is not None and sys.stdout.isatty()
    return Progress(*columns, console=Console(stderr=True), transient=False, redirect_stdout=to_terminal)


@contextmanager
def progress(what: str, total: int, unit: str = "") -> Iterator[Callable[[int], None]]:
    """A progress bar for a loop, where standard error is a terminal; else nothing is shown.

    Args:
        what: stands before the bar.
        total: the number of steps.
        unit: of the rate, as "images".

    Yields:
        a function that takes the number of steps that are done by now.
    """
    if not on_terminal():
        yield lambda done: None
        return
    with progress_bar() as bar:
        task = bar.add_task(what, total=total, rate="")

        def show(done: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, rate=f"{speed:,.0f} {unit}/s" if speed else "")

        yield show
