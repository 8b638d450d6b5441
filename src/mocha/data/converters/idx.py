"""The idx format, in which MNIST is published.

Two zero bytes, one byte for the type of element (8: bytes), one for the number of axes; then the length of each axis
as a big-endian 32-bit number; then the elements, row-major. The file may be compressed by gzip.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from mocha.errors import FormatError

_BYTES = 8
_MAX_RANK = 8
_MAX_SIZE = 1 << 30  # 20 times MNIST's largest file
_PIECE = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """The array of bytes in an idx file, compressed or not.

    Raises:
        FormatError: the file is missing or damaged, longer or shorter than its header says, or of another type.
    """
    place = Path(path)
    try:
        with place.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            # The size that the header claims is reached piece by piece, so a false one costs no memory.
            return _parse(place, cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if compressed else raw)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"{place}: the file is missing or damaged ({error}). Get it again.") from error


def _parse(place: Path, file: BinaryIO) -> npt.NDArray[np.uint8]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _BYTES or not 1 <= start[3] <= _MAX_RANK:
        raise FormatError(
            f"{place}: starts with {start!r}; expected an idx file of bytes: two zeros, {_BYTES}, the number of axes."
        )
    lengths = file.read(4 * start[3])
    if len(lengths) < 4 * start[3]:
        raise FormatError(f"{place}: ends within its header, after {4 + len(lengths)} bytes. Get it again.")
    shape = tuple(int(n) for n in np.frombuffer(lengths, ">u4"))
    size = math.prod(shape)
    if size > _MAX_SIZE:
        raise FormatError(f"{place}: claims {size} bytes of shape {shape}; expected {_MAX_SIZE} at most.")
    data = bytearray()
    while len(data) <= size and (piece := file.read(min(_PIECE, size + 1 - len(data)))):
        data += piece
    if len(data) != size:
        found = f"only {len(data)}" if len(data) < size else "more"
        raise FormatError(f"{place}: its header says {size} bytes of shape {shape}, but it has {found}. Get it again.")
    return np.frombuffer(data, np.uint8).reshape(shape)
