"""Writing a file as a whole: a reader, now or after a crash, finds the old file or the new one and nothing between."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str], *, mark: str = "") -> Iterator[Path]:
    """A temporary path to write to; when the block ends well, it becomes `path` in one step.

    When the block raises, the temporary file is removed and the old file, if any, stays as it was. Missing parent
    directories are made. A symbolic link stays one: the file that it points to is replaced.

    Args:
        path: where the file shall be.
        mark: stands in the temporary name, for `remove_leftovers`.

    Raises:
        OSError: the directory cannot be made or written to, or the block wrote no file.
    """
    final = Path(os.path.realpath(path))
    final.parent.mkdir(parents=True, exist_ok=True)
    # In the same directory, as only there renaming is one step. The name is short: the final one may be long already.
    temporary = final.parent / f".mocha-{mark}{os.getpid()}-{os.urandom(6).hex()}.tmp"
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(final.parent)


def remove_leftovers(directory: Path, mark: str) -> None:
    """Remove temporary files of a mark that killed processes left. Nobody may be writing such ones there now."""
    for path in directory.glob(f".mocha-{mark}*.tmp"):
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Wait until a file's bytes, or a directory's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
