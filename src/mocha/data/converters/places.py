"""Where the original files of data sets are looked for, and downloaded to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mocha.cache import cache_folder
from mocha.optional import optional

_PATIENCE = 5.0
"""Seconds without an answer before a server is given up."""


def cache_directory(name: str) -> Path:
    """Where a data set is downloaded to: ``mocha/<name>`` in the user's cache directory, or in `MOCHA_CACHE`."""
    return cache_folder() / name


def download(url: str, checksum: str, target: Path) -> str:
    """Get a file into a folder, unless it is there, and check it.

    Args:
        url: where it is; the file keeps its name.
        checksum: what it must have, as "md5:...".
        target: the folder.

    Returns:
        what went wrong; empty if nothing did.

    Raises:
        MochaError: pooch is not installed.
    """
    pooch = optional("pooch", "downloading")
    fetch = pooch.HTTPDownloader(timeout=_PATIENCE)
    try:
        pooch.retrieve(url, checksum, fname=url.rpartition("/")[2], path=target, downloader=fetch)
    except (OSError, ValueError) as error:  # out of reach, or not the file that it should be
        return f"{url}: {str(error)[:200]}"
    return ""


def places(name: str, directory: Path | None = None) -> Iterator[Path]:
    """Where a data set may lie, in the order of looking.

    Args:
        name: of the data set, and of its folder.
        directory: looked into first, and ``<name>`` in it; then the same of ``$MOCHA_DATA``; then the user's cache
            directory, ``data/<name>`` in ``$MOCHA_SHARED``, and ``../shared/data/<name>``.
    """
    if directory is not None:
        yield Path(directory)
        yield Path(directory) / name
    if data := os.environ.get("MOCHA_DATA"):
        yield Path(data)
        yield Path(data) / name
    yield cache_directory(name)
    if shared := os.environ.get("MOCHA_SHARED"):
        yield Path(shared) / "data" / name
    yield Path("..") / "shared" / "data" / name
