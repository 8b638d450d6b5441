"""What a conversion is to write: a list of files, each of some thousands of samples; and what it has written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mocha.data.converters.splits import Indices
from mocha.errors import ConfigError
from mocha.ops import Array, Shape

PER_FILE = 10_000
"""Samples in a file, unless told."""


@dataclasses.dataclass(frozen=True)
class Block:
    """Some samples, ready to be written.

    Attributes:
        data: (n, ...), n >= 0.
        label: (n, k).
        skipped: pairs of an entry that cannot be read and the reason.
    """

    data: Array
    label: Array
    skipped: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
    """A file to be.

    Attributes:
        split: of which split.
        name: of the file.
        entries: which samples, in this order.
        digest: of what it is made of.
    """

    split: str
    name: str
    entries: Indices
    digest: str


_AT_ONCE = 4096
"""Samples in a block of those that are in memory already."""


def blocks_of(piece: Piece, data: Array, labels: Array) -> Iterator[Block]:
    """The blocks of a file to be whose samples are in memory.

    Args:
        piece: the file.
        data: (samples, ...).
        labels: (samples).
    """
    for start in range(0, len(piece.entries), _AT_ONCE):
        rows = piece.entries[start : start + _AT_ONCE]
        yield Block(data[rows], labels[rows, None].astype(np.float32))


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """What is to be written.

    Attributes:
        out: the folder.
        pieces: the files, split by split.
        sample: the shape of a sample.
        dtype: of the data set `data`.
        labels: numbers in a label; 0: there is no data set `label`.
        origin: the source, so that its files can be told from those of another one in the same folder.
        form: what all splits in a folder must have in common for a net, as the size of images; of plain JSON types.
            What is None goes with everything.
        classes: their names, for ``classes.txt``.
        mean: write ``mean.hdf5``, the mean of the split "train".
        overwrite: replace what another job wrote.
        gaps: entries may be skipped; a file of which some were is finished, unless it is to be replaced.
        unit: what samples are called.
    """

    out: Path
    pieces: tuple[Piece, ...]
    sample: Shape
    dtype: type[np.generic]
    labels: int
    origin: str
    form: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    mean: bool = False
    overwrite: bool = False
    gaps: bool = False
    unit: str = "samples"

    @property
    def splits(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(dict.fromkeys(piece.split for piece in self.pieces))

    @property
    def source(self) -> str:
        """A digest of where the samples come from."""
        return digest_of({}, [self.origin])

    @property
    def name(self) -> str:
        """A digest of the source and of how it is split."""
        return digest_of({}, [self.origin, *sorted(self.splits)])

    @property
    def numbering(self) -> str | None:
        """A digest of the names of the classes; None: there are no names."""
        return None if self.classes is None else digest_of({}, self.classes)


@dataclasses.dataclass(frozen=True)
class Converted:
    """What a conversion has written.

    Attributes:
        lists: split -> its list file.
        samples: split -> the number of samples.
        files: split -> the number of files with them.
        made: files that were made now.
        kept: files that an earlier run had finished.
        skipped: entries that cannot be read, see ``skipped.txt``.
        others: ``mean.hdf5``, ``classes.txt`` and ``skipped.txt``, as far as written.
        classes: names of the classes.
        passed_over: files in the source that are no images by their names.
        removed: names of files that lay in the folder, did not go with what was written, and were to be replaced.
    """

    lists: dict[str, Path]
    samples: dict[str, int]
    files: dict[str, int]
    made: int
    kept: int
    skipped: int
    others: tuple[Path, ...]
    classes: tuple[str, ...] | None = None
    passed_over: int = 0
    removed: tuple[str, ...] = ()


def digest_of(options: Mapping[str, Any], entries: Iterable[Any]) -> str:
    """A digest of options and entries, both of plain JSON types."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for entry in entries:
        digest.update(json.dumps(entry).encode() + b"\n")
    return digest.hexdigest()


def cut(splits: Mapping[str, Indices], per_file: int, digest: Callable[[Indices], str]) -> tuple[Piece, ...]:
    """Files of `per_file` samples of each split.

    Raises:
        ConfigError: `per_file` is not a whole number above 0.
    """
    if isinstance(per_file, bool) or not isinstance(per_file, (int, np.integer)) or per_file < 1:
        raise ConfigError(f"per_file is {per_file!r}; expected a whole number above 0.")
    pieces = []
    for split, entries in splits.items():
        for number, start in enumerate(range(0, len(entries), per_file)):
            part = entries[start : start + per_file]
            pieces.append(Piece(split, f"{split}-{number:05d}.hdf5", part, digest(part)))
    return tuple(pieces)
