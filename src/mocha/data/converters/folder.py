"""The folder that a conversion writes to: its files, and what they say of themselves."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mocha.data.converters.jobs import Job, Piece, digest_of
from mocha.data.converters.splits import TRAIN
from mocha.errors import FormatError, StateError
from mocha.io.atomic import remove_leftovers
from mocha.io.hdf5 import attribute, find_dataset, open_hdf5, read_array, reading

MARK = "piece-"
"""In the names of temporary files; see `alone`."""

DIGEST = "mocha-job"
SKIPPED_HEAD = "entry\treason\n"
"""How ``skipped.txt`` begins."""

ABOUT = "mocha-about"
"""The attribute that says of which job a file is; see `mocha.data.converters.room`."""

_SKIPPED = "skipped"


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """The folder, made if missing, for nobody else who converts; without what a killed process left."""
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however that ends
            remove_leftovers(out, MARK)
        except BlockingIOError:
            raise StateError(f"{out}: another process is converting to this folder. Wait for it, or stop it.") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def finished(path: Path, digest: str) -> tuple[int, int] | None:
    """The numbers of samples and of skipped entries in a finished file of a digest, else None."""
    if text_attribute(path, DIGEST) != digest:
        return None
    try:
        with open_hdf5(path) as file, reading(path):
            return len(find_dataset(file, "data")), len(skipped_in(file))
    except FormatError:
        return None


def text_attribute(path: Path, name: str) -> str | None:
    """An attribute of an HDF5 file that is an ASCII text; None if there is none, or no such file."""
    if not path.is_file():
        return None
    try:
        with open_hdf5(path) as file, reading(path):
            value = attribute(file, name, "S")
            return None if value is None else bytes(value).decode("ascii", "replace")
    except FormatError:
        return None


def has_gaps(path: Path) -> bool:
    """Whether entries were left out of a file."""
    try:
        with open_hdf5(path) as file, reading(path):
            return _SKIPPED in file
    except FormatError:
        return False


def skipped_in(file: Any) -> list[tuple[str, str]]:
    """Pairs of an entry that was left out and the reason, from an open file."""
    if _SKIPPED not in file:
        return []
    pairs = json.loads(read_array(find_dataset(file, _SKIPPED), kinds="u").tobytes())
    return [(str(entry), str(reason)) for entry, reason in pairs]


def sign(file: Any, job: Job, piece: Piece, skipped: list[tuple[str, str]]) -> None:
    """Note in an open file what it was made of, and what was left out."""
    if skipped:
        file.create_dataset(_SKIPPED, data=np.frombuffer(json.dumps(skipped).encode(), np.uint8))
    about = {
        "split": piece.split, "source": job.source, "job": job.name, "classes": job.numbering, "form": dict(job.form)
    }  # fmt: skip
    file.attrs[ABOUT] = np.bytes_(json.dumps(about).encode())
    file.attrs[DIGEST] = np.bytes_(piece.digest)


def list_file(out: Path, split: str) -> Path:
    """The list file of a split."""
    return out / f"{split}-data-list.txt"


def mean_file(out: Path) -> Path:
    """The file with the mean."""
    return out / "mean.hdf5"


def classes_file(out: Path) -> Path:
    """The file with the names of the classes."""
    return out / "classes.txt"


def skipped_file(out: Path) -> Path:
    """The file that lists what was left out."""
    return out / "skipped.txt"


def is_foreign_skipped(out: Path) -> bool:
    """Whether there is a ``skipped.txt`` that no conversion wrote."""
    path = skipped_file(out)
    if not path.exists():
        return False
    return not (path.is_file() and path.read_bytes().startswith(SKIPPED_HEAD.encode()))


def mean_digest(job: Job) -> str:
    """A digest of what the mean is made of. What was skipped does not count: with a new file goes the old mean."""
    return digest_of({}, [piece.digest for piece in job.pieces if piece.split == TRAIN])


def classes_text(job: Job) -> bytes:
    """The names of the classes, one a line."""
    return "".join(f"{name}\n" for name in job.classes or ()).encode(errors="surrogateescape")
