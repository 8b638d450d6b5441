"""Files out of tar archives, read one after the other without unpacking, and with suspicion."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from mocha.errors import FormatError

_MOST_MEMBERS = 1000
_DAMAGE = (OSError, EOFError, ValueError, OverflowError, MemoryError, RecursionError, tarfile.TarError, lzma.LZMAError,
           zlib.error)  # fmt: skip


def read_members(
    archive: Path, largest: Mapping[str, int], refused: Mapping[str, str], *, most: int
) -> dict[str, bytes]:
    """Those members of a tar archive that have certain names, whatever the folders that they lie in.

    Nothing is written to disk, links are not followed, and no more is unpacked than is allowed.

    Args:
        archive: the file, plain or compressed by gzip, xz or bzip2.
        largest: name of a member that is wanted -> how many bytes it may have.
        refused: name of a member that tells that this is something else -> what is raised then.
        most: bytes that the unpacked archive may have.

    Raises:
        FormatError: the archive is damaged, or too large, or something else.
    """
    found: dict[str, bytes] = {}
    try:
        with archive.open("rb") as raw:
            bounded: Any = _Bounded(_unpacked(raw), archive, most)
            with tarfile.open(fileobj=bounded, mode="r|") as tar:
                claimed = 0
                for number, member in enumerate(tar):
                    name = PurePosixPath(member.name).name
                    claimed += member.size
                    if not 0 <= member.size <= most or claimed > most:  # passing over it would take for ever
                        raise FormatError(
                            f"{archive}: claims {claimed} bytes; expected {most} at most. Is it the right one?"
                        )
                    if number >= _MOST_MEMBERS:
                        raise FormatError(f"{archive}: more than {_MOST_MEMBERS} members. Is this the right archive?")
                    if name in refused:
                        raise FormatError(f"{archive}: {refused[name]}")
                    if name in largest and member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
                        found[name] = _read(tar, member, archive, largest[name], found)
    except FormatError:
        raise
    except _DAMAGE as error:
        raise FormatError(f"{archive}: no archive, or a damaged one ({error}). Get it again.") from error
    return found


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, most: int, found: Collection[str]) -> bytes:
    name = PurePosixPath(member.name).name
    if name in found:
        raise FormatError(f"{archive}: has {name} twice. Get it again.")
    if member.size > most:
        raise FormatError(f"{archive}: {member.name} has {member.size} bytes; expected {most} at most.")
    file = tar.extractfile(member)
    data = b"" if file is None else file.read()
    if len(data) != member.size:
        raise FormatError(f"{archive}: ends within {member.name}. Get it again.")
    return data


def _unpacked(raw: BinaryIO) -> Any:
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if start == b"\xfd7zXZ\0":
        return lzma.LZMAFile(raw)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    return raw


class _Bounded:
    """Reads from a file, up to a number of bytes: what is compressed may unpack to any length.

    Args:
        file: to read from.
        path: of the archive, for the message.
        most: bytes.
    """

    def __init__(self, file: Any, path: Path, most: int) -> None:
        self._file, self._path, self._most, self._left = file, path, most, most

    def read(self, size: int) -> bytes:
        """The next bytes.

        Raises:
            FormatError: they are too many.
        """
        data: bytes = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise FormatError(f"{self._path}: unpacks to more than {self._most} bytes. Is this the right archive?")
        return data
