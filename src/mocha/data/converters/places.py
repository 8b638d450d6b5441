"""Where the original files of data sets are looked for, and downloaded to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 5.0
"""Seconds without an answer before a server is given up."""


def cache_directory(name: str) -> Path:
    """Where a data set is downloaded to: ``mocha/<name>`` in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mocha" / name


def places(name: str, directory: Path | None = None) -> Iterator[Path]:
    """Where a data set may lie, in the order of looking.

    Args:
        name: of the data set, and of its folder.
        directory: looked into first; then ``$MOCHA_DATA`` and ``<name>`` in it, the user's cache directory,
            ``data/<name>`` in ``$MOCHA_SHARED``, and ``../shared/data/<name>``.
    """
    if directory is not None:
        yield Path(directory)
    if data := os.environ.get("MOCHA_DATA"):
        yield Path(data)
        yield Path(data) / name
    yield cache_directory(name)
    if shared := os.environ.get("MOCHA_SHARED"):
        yield Path(shared) / "data" / name
    yield Path("..") / "shared" / "data" / name
