"""Reading and writing files whole, and telling text from binary by what is in them."""

from __future__ import annotations

import os
from pathlib import Path

from mocha.caffe.wire import LIMIT
from mocha.errors import FormatError
from mocha.io import atomic_path
from mocha.io.hdf5 import SIGNATURE

PathLike = str | os.PathLike[str]

_LOOKED_AT = 1 << 16
# No text has these bytes, and every binary message of a net does: the tags of its layers are among them.
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b")


def read_bytes(path: PathLike) -> bytes:
    """All bytes of a file.

    Raises:
        FormatError: there is no such file, it cannot be read, is empty, or is too long to be a message.
    """
    place = Path(path)
    if not place.exists():
        raise FormatError(f"{place}: there is no such file (working directory {Path.cwd()}). Check the path.")
    if not place.is_file():
        raise FormatError(f"{place}: expected a file, found a directory or a device. Give the path of a file.")
    size = place.stat().st_size
    if size == 0:
        raise FormatError(f"{place}: the file is empty. Copy or make it again.")
    if size > LIMIT:
        raise FormatError(f"{place}: {size} bytes; a message has at most {LIMIT}. Keep such weights as .caffemodel.h5.")
    try:
        return place.read_bytes()
    except OSError as error:
        raise FormatError(f"{place}: the file cannot be read ({error}). Check its permissions.") from error


def write_bytes(path: PathLike, data: bytes) -> None:
    """Write a file as a whole or not at all. Missing directories are made.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def is_hdf5(data: bytes) -> bool:
    """Whether bytes are the start of an HDF5 file."""
    return data.startswith(SIGNATURE)


def file_is_hdf5(path: PathLike) -> bool:
    """Whether there is a file at the path, and it is an HDF5 file."""
    place = Path(path)
    if not place.is_file():  # opening a pipe would wait for somebody to write
        return False
    try:
        with place.open("rb") as file:
            return is_hdf5(file.read(len(SIGNATURE)))
    except OSError:
        return False


def is_binary(data: bytes) -> bool:
    """Whether bytes are a binary message rather than text."""
    return not _CONTROL.isdisjoint(data[:_LOOKED_AT])


def decoded(data: bytes) -> str:
    """Text of a file. Comments and paths in it may be of any encoding: bytes that are not UTF-8 become U+FFFD."""
    return data.decode("utf-8-sig", errors="replace")
