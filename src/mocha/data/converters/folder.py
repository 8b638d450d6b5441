"""The folder that a conversion writes to: what is there already, whose it is, and what must go."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mocha.data.converters.jobs import Job, Piece, digest_of
from mocha.data.converters.splits import TRAIN
from mocha.errors import ConfigError, FormatError, StateError
from mocha.io.atomic import remove_leftovers
from mocha.io.hdf5 import attribute, find_dataset, open_hdf5, read_array, reading

MARK = "piece-"
"""In the names of temporary files; see `alone`."""

DIGEST = "mocha-job"
_ORIGIN = "mocha-origin"
_SKIPPED = "skipped"
_NUMBERED = re.compile(r"(?P<split>[a-z0-9][a-z0-9_-]*)-\d{5,}\.hdf5")


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
    file.attrs[_ORIGIN] = np.bytes_(_origin(job))
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


def make_room(job: Job, mine: set[str]) -> None:
    """Refuse to touch the files of others, or clear away what must not stay beside the new ones.

    Args:
        job: the job.
        mine: names of the files that were made by it already.
    """
    planned = {piece.name for piece in job.pieces}
    ours = {path.name: path for path in job.out.glob("*.hdf5") if text_attribute(path, DIGEST) is not None}
    stale = [path for name, path in sorted(ours.items()) if name not in planned and _belongs(job, path)]
    others = [job.out / name for name in sorted(planned - mine) if (job.out / name).exists()] + stale
    names = planned | set(ours)
    gone = {match["split"] for path in stale if (match := _NUMBERED.fullmatch(path.name))}
    lists = [list_file(job.out, split) for split in sorted({*job.splits, *gone})]
    others += [path for path in lists if path.exists() and not _lines(path) <= names]
    mean = mean_file(job.out)
    other_mean = mean.exists() and text_attribute(mean, DIGEST) != mean_digest(job)
    if other_mean and (job.mean or (others and TRAIN in {*job.splits, *gone})):
        others.append(mean)
    classes = classes_file(job.out)
    if classes.exists() and classes.read_bytes() != classes_text(job) and (job.classes or others):
        others.append(classes)
    if others == [classes] and not job.overwrite:
        raise ConfigError(
            f"{classes} lists other classes than these, {', '.join(job.classes or ())[:100]}. To number them as there, "
            "give it: --classes classes.txt, or classes=[...]. To have it replaced: --overwrite, or overwrite=True."
        )
    if others and not job.overwrite:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise ConfigError(
            f"{others[0]}{more} is there already, made with other options, of other source files, or by something "
            "else. Choose another folder, or have it replaced: --overwrite, or overwrite=True."
        )
    # The other planned files are replaced one by one; without a list nobody takes them for the new ones.
    for path in [*lists, *stale, mean, classes] if others else []:
        if path in lists or path in others:
            path.unlink(missing_ok=True)


def _belongs(job: Job, path: Path) -> bool:
    """A file of no use any more: numbered as those of a split that is written now, or made of the same source."""
    match = _NUMBERED.fullmatch(path.name)
    return match is not None and (match["split"] in job.splits or text_attribute(path, _ORIGIN) == _origin(job))


def _lines(path: Path) -> set[str]:
    try:
        return set(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return {""}


def _origin(job: Job) -> str:
    return digest_of({}, [job.origin])


def mean_digest(job: Job) -> str:
    """A digest of what the mean is made of."""
    return digest_of({}, [piece.digest for piece in job.pieces if piece.split == TRAIN])


def classes_text(job: Job) -> bytes:
    """The names of the classes, one a line."""
    return "".join(f"{name}\n" for name in job.classes or ()).encode(errors="surrogateescape")
