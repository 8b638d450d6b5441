"""The HDF5 files of a data source: found, inspected, and read piece by piece."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mocha.data.samples import NUMBERS
from mocha.errors import FormatError
from mocha.io.hdf5 import SIGNATURE, find_dataset, load_h5py, open_file, open_hdf5, reading
from mocha.ops import Array, Shape

# A chunk larger than the library's cache is decompressed anew for each batch that has a part of it.
_CHUNK_CACHE = 64 << 20


@dataclasses.dataclass(frozen=True)
class DataFile:
    """What a file holds.

    Attributes:
        path: where it is.
        tops: the datasets that matter.
        samples: how many, > 0, the same for all of them.
        features: for each dataset the shape of one sample.
        dtypes: for each dataset its type of element.
        mappable: all datasets lie in the file as they do in memory.
    """

    path: Path
    tops: tuple[str, ...]
    samples: int
    features: tuple[Shape, ...]
    dtypes: tuple[np.dtype[Any], ...]
    mappable: bool

    def check_like(self, first: DataFile) -> None:
        """The samples must have the shapes that they have in the first file.

        Raises:
            FormatError: they have not.
        """
        for top, mine, theirs in zip(self.tops, self.features, first.features, strict=True):
            if mine != theirs:
                raise FormatError(
                    f"{self.path}: the samples of dataset {top!r} have shape {mine}, but in {first.path} it is "
                    f"{theirs}. All files of one source must agree."
                )


def list_files(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The HDF5 files that a source names, see `HDF5Source`, as absolute paths.

    Raises:
        FormatError: the list file is missing, no text, or names no file.
    """
    if not isinstance(source, (str, os.PathLike)):
        if not source:
            raise FormatError("the list of HDF5 files is empty; expected one file at least.")
        return [Path(path).absolute() for path in source]
    place = Path(source)
    if place.suffix.lower() in (".h5", ".hdf5"):
        return [place.absolute()]
    if not place.is_file():
        what = "is a directory" if place.is_dir() else f"does not exist (working directory {Path.cwd()})"
        raise FormatError(f"{place}: the list file {what}. Expected a text file with the path of one HDF5 file a line.")
    with place.open("rb") as raw:
        if raw.read(len(SIGNATURE)) == SIGNATURE:  # an HDF5 file of another name
            return [place.absolute()]
    try:
        lines = [line.strip() for line in place.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{place}: expected a text file with the path of one HDF5 file a line, found other bytes ({error})."
        ) from error
    files = [_located(line, place) for line in lines if line]
    if not files:
        raise FormatError(f"{place}: the list file is empty; expected the path of one HDF5 file a line.")
    return files


def _located(line: str, list_file: Path) -> Path:
    if "\0" in line:
        raise FormatError(f"{list_file}: {line!r} is not a path. Expected the path of one HDF5 file a line.")
    path, beside = Path(line), list_file.parent / line
    if not path.exists() and beside.exists():
        return beside.absolute()
    if not path.exists():
        raise FormatError(
            f"{list_file}: names {line!r}, which is neither in the working directory ({Path.cwd()}) nor beside the "
            f"list file ({list_file.parent}). Write the path as seen from one of these, or in full."
        )
    return path.absolute()


def inspect(path: Path, tops: tuple[str, ...]) -> DataFile:
    """Look at a file and check it.

    Raises:
        FormatError: the file or one of its datasets is not what it should be.
    """
    with open_hdf5(path) as file, reading(path):
        found = [find_dataset(file, top) for top in tops]
        for top, dataset in zip(tops, found, strict=True):
            _check(f"{path}: dataset {top!r}", dataset)
        counts = {top: dataset.shape[0] for top, dataset in zip(tops, found, strict=True)}
        if len(set(counts.values())) > 1:
            raise FormatError(f"{path}: the datasets have different numbers of samples: {counts}. Write the file anew.")
        return DataFile(
            path,
            tops,
            int(found[0].shape[0]),
            tuple(dataset.shape[1:] for dataset in found),
            tuple(dataset.dtype for dataset in found),
            all(_is_mappable(path, dataset) for dataset in found),
        )


def _check(where: str, dataset: Any) -> None:
    dtype, shape = dataset.dtype, dataset.shape
    if dtype.kind not in NUMBERS or dtype.itemsize > 8:
        raise FormatError(f"{where} has elements of type {dtype}; expected float32, float64 or whole numbers.")
    if not shape:
        raise FormatError(f"{where} has {'no data' if shape is None else 'one number'}; expected shape (samples, ...).")
    if shape[0] == 0:
        raise FormatError(f"{where} has shape {shape}: no samples. Leave the file out.")


def _is_mappable(path: Path, dataset: Any) -> bool:
    """The elements lie in the file one after the other, in a form that NumPy knows.

    The offset is None for chunked and compact storage, and where nothing was written yet.
    """
    h5py = load_h5py()
    offset = dataset.id.get_offset()
    if offset is None or dataset.chunks is not None:
        return False
    if dataset.id.get_type() != h5py.h5t.py_create(dataset.dtype, logical=True):
        return False
    if offset + dataset.size * dataset.dtype.itemsize > path.stat().st_size:
        raise FormatError(f"{path}: dataset {dataset.name!r} goes on after the end of the file. Copy or make it again.")
    return True


class OpenFile:
    """A file that is being read.

    Args:
        about: what it was found to hold.

    Raises:
        FormatError: it holds something else by now.
    """

    def __init__(self, about: DataFile) -> None:
        if inspect(about.path, about.tops) != about:
            raise FormatError(f"{about.path}: the file was changed since training began. Start again.")
        self.about = about
        self._file = open_file(about.path, rdcc_nbytes=_CHUNK_CACHE)
        with reading(about.path):
            self._datasets = [find_dataset(self._file, top) for top in about.tops]
        self._maps: dict[int, Array] = {}

    def read(self, top: int, start: int, stop: int) -> Array:
        """The rows `start` to `stop - 1` of a dataset."""
        return np.asarray(self._datasets[top][start:stop])

    def mapped(self, top: int) -> Array:
        """A whole dataset as a memory map; only for a file that is mappable."""
        if top not in self._maps:
            dataset = self._datasets[top]
            self._maps[top] = np.memmap(
                self.about.path, dataset.dtype, mode="r", offset=dataset.id.get_offset(), shape=dataset.shape
            )
        return self._maps[top]

    def close(self) -> None:
        """Close the file and let go of the maps."""
        self._maps.clear()
        self._file.close()
