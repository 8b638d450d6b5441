"""The one logger that Mocha writes its lines to, and its progress bar.

It is the standard logger ``mocha``. Unless the program configured logging itself, lines from level INFO on go to
standard error, so that a training script shows its progress without ceremony.
"""

from __future__ import annotations

import logging
import re
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


_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
"""Characters that steer a terminal, that turn the direction of the text after them, or that XML refuses."""


def visible(text: str, most: int = 200) -> str:
    """A text as it can be shown in one line: a name out of a file may hold anything.

    Args:
        text: it may be of several lines.
        most: how long it may be; what is longer is cut.
    """
    line = _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", re.sub(r"\r?\n|\t", " ", text[: 2 * most]))
    return line if len(line) <= most else line[: most - 1] + "…"


def printable(name: object, most: int = 1000) -> str:
    """A name, as of a file, for people: visible, in one line, as standard output takes it."""
    return encodable(visible(encodable(name, "utf-8"), most))


def encodable(text: object, encoding: str | None = None) -> str:
    """A text that can be encoded: bytes of a name that are no text, and letters that lack, are written as Python does.

    Args:
        text: the text.
        encoding: where it goes; None: that of standard output.
    """
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    return str(text).encode(encoding, "backslashreplace").decode(encoding)


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
