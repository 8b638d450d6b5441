"""What is found out or compiled once and kept on disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from mocha.cache import cache_folder

_DIGEST = 32  # bytes in front of a file's own


def cached_file(name: str, make: Callable[[], bytes]) -> bytes:
    """The bytes of a file of the cache, made now if it is not there, or damaged.

    A folder that cannot be written to is no error.

    Args:
        name: of the file. It stands for all that its bytes depend on: nobody looks whether they still fit.
        make: makes the bytes.
    """
    path = cache_folder() / name
    try:
        found = path.read_bytes()
    except OSError:
        found = b""
    digest, content = found[:_DIGEST], found[_DIGEST:]
    if found and hashlib.sha256(content).digest() == digest:
        return content
    made = make()
    store_file(path, hashlib.sha256(made).digest() + made)
    return made


def store_file(path: Path, content: bytes) -> None:
    """Write a file as a whole, if that is possible here."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            temporary = file.name
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
