"""Pictures that follow files while these are being written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mocha.errors import MochaError
from mocha.optional import optional
from mocha.visual.curves import Numbers
from mocha.visual.plot import SIZE

Reader = Callable[[Path], Numbers]
_WINDOWS = ("QtAgg", "TkAgg", "GTK4Agg", "GTK3Agg", "WXAgg", "MacOSX")


class Follower:
    """Reads files again when they change. One that is not there yet, or is just being replaced, is tried again.

    Files are opened for reading, for as long as that takes; whoever writes them is not disturbed.

    Args:
        files: name -> file.
        read: gives the statistics of a file, or raises a `MochaError` or an `OSError`.

    Attributes:
        sources: name -> statistics, of the files that could be read so far.
        problems: name -> why a file could not be read the last time.
    """

    def __init__(self, files: Mapping[str, Path], read: Reader) -> None:
        self.sources: dict[str, Numbers] = {}
        self.problems: dict[str, str] = {}
        self._files = files
        self._read = read
        self._seen: dict[str, tuple[int, int, int]] = {}

    def look(self) -> bool:
        """Read what has changed; gives whether something has."""
        before = dict(self.problems)
        changed = False
        for name, path in self._files.items():
            try:
                about = path.stat()
                mark = about.st_mtime_ns, about.st_size, about.st_ino
                if self._seen.get(name) == mark:
                    continue
                self.sources[name] = self._read(path)
                self._seen[name] = mark
                self.problems.pop(name, None)
                changed = True
            except FileNotFoundError:
                self.problems[name] = f"waiting for {path}"
            except (MochaError, OSError) as error:
                self.problems[name] = str(error)
        self.sources = {name: self.sources[name] for name in self._files if name in self.sources}
        return changed or before != self.problems


def rounds(interval: float) -> Iterator[int]:
    """0, 1, 2, ... with a pause between, until Ctrl-C."""
    number = 0
    while True:
        yield number
        number += 1
        time.sleep(interval)


def window() -> Any:
    """A window for pictures, an object with `figure`, `show()` and `closed`; None where there can be none."""
    # a Mac and Windows have windows without these
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        return None
    return next((found for name in _WINDOWS if (found := _opened(name)) is not None), None)


class Window:
    """A figure in a window.

    Args:
        pyplot: the module, with a backend that has windows.
    """

    def __init__(self, pyplot: Any) -> None:
        self._pyplot = pyplot
        self.figure = pyplot.figure(figsize=SIZE)

    @property
    def closed(self) -> bool:
        """Whether the user has closed it."""
        return not self._pyplot.fignum_exists(self.figure.number)

    def show(self) -> None:
        """Bring what was drawn to the screen."""
        self.figure.canvas.draw_idle()
        self._pyplot.pause(0.001)


def _opened(backend: str) -> Window | None:
    """A window of one of matplotlib's backends, if that works here."""
    pyplot = optional("matplotlib.pyplot", "drawing")
    try:
        pyplot.switch_backend(backend)
        return Window(pyplot)
    except Exception:  # each toolkit fails in its own way
        return None


def titles(paths: Sequence[Path]) -> dict[str, Path]:
    """Short names for files: as many of the last parts of their paths as tell them apart.

    A file that is given twice has one name.
    """
    parts = {path: path.parts for path in dict.fromkeys(paths)}
    named: dict[str, Path] = {}
    for path, own in parts.items():
        length = 1
        while length < len(own) and any(
            other[-length:] == own[-length:] for rival, other in parts.items() if rival != path
        ):
            length += 1
        named["/".join(own[-length:])] = path
    return named
