"""The mean sample of HDF5 files, for `DataTransformers.SubMean`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.console import progress
from mocha.data.hdf5_files import inspect, list_files
from mocha.errors import ConfigError, FormatError
from mocha.io.atomic import atomic_path
from mocha.io.hdf5 import check_readable, create_file, find_dataset, open_hdf5, reading, writing

_AT_ONCE = 16 << 20  # bytes

MEAN = "mean"
"""The dataset that `SubMean` reads."""


class MeanOfFiles:
    """Adds up the samples of files, slice by slice: whole numbers exactly, others in float64.

    Args:
        dataset: its name in the files.
    """

    def __init__(self, dataset: str = "data") -> None:
        self._dataset = dataset
        self._sum: Any = None
        self._count = 0
        self._first: Any = None

    def add(self, path: Path) -> None:
        """Add the samples of a file, of which there is one at least.

        Raises:
            FormatError: the file cannot be read, or has samples of another shape, or numbers that are not finite.
        """
        about = inspect(path, (self._dataset,))
        self._first = self._first or about
        about.check_like(self._first)
        with open_hdf5(path) as file, reading(path):
            dataset = find_dataset(file, self._dataset)
            check_readable(dataset, kinds="fiub")
            exact = dataset.dtype.kind != "f" and dataset.dtype.itemsize <= 4
            rows = max(1, _AT_ONCE // max(1, dataset.dtype.itemsize * int(np.prod(dataset.shape[1:]))))
            for start in range(0, len(dataset), rows):
                part = np.asarray(dataset[start : start + rows]).sum(axis=0, dtype=np.int64 if exact else np.float64)
                if not np.isfinite(part).all():
                    raise FormatError(
                        f"{path}: dataset {self._dataset!r} has NaN or infinite numbers among the samples {start} to "
                        f"{min(start + rows, len(dataset)) - 1}; their mean is none. Make the file again."
                    )
                self._sum = part if self._sum is None else self._sum + part
            self._count += len(dataset)

    def mean(self) -> npt.NDArray[np.float32]:
        """The mean of all samples so far, of the shape of one."""
        return np.asarray(self._sum / self._count, np.float32)


def write_mean(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    dataset: str = "data",
    overwrite: bool = False,
) -> npt.NDArray[np.float32]:
    """Write the mean of all samples of HDF5 files. They are read slice by slice.

    Args:
        source: a list file, an HDF5 file, or a list of such, as `HDF5Source` takes them.
        out: the HDF5 file to write; its dataset ``mean`` is float32 and has the shape of a sample.
        dataset: what to take the mean of.
        overwrite: replace `out` if it is there.

    Returns:
        the mean.

    Raises:
        ConfigError: `out` is there, or it is one of the files that the mean is taken of.
        FormatError: a file cannot be read, or its samples have another shape than those of the first, or it has
            numbers that are not finite.
        MochaError: `out` cannot be written.
    """
    refuse_existing(Path(out), overwrite)
    files = list_files(source)
    given = [source] if isinstance(source, (str, os.PathLike)) else source
    refuse_sources(Path(out), [*map(Path, given), *files])
    total = MeanOfFiles(dataset)
    with progress("Adding up", len(files), "files") as show:
        for number, path in enumerate(files, 1):
            total.add(path)
            show(number)
    mean = total.mean()
    save_mean(mean, Path(out))
    return mean


def refuse_existing(path: Path, overwrite: bool) -> None:
    """A file must not be there, unless it is to be replaced.

    Raises:
        ConfigError: it is there.
    """
    if path.exists() and not overwrite:
        raise ConfigError(
            f"{path} is there already. Choose another name, or have it replaced: --overwrite, or overwrite=True."
        )


def refuse_sources(path: Path, sources: Sequence[Path]) -> None:
    """A file that is written must be none of those that are read for it, by whatever name.

    Raises:
        ConfigError: it is one.
    """
    if any(os.path.realpath(path) == os.path.realpath(source) for source in sources) or (
        path.exists() and any(path.samefile(source) for source in sources if source.exists())
    ):
        raise ConfigError(f"{path} is what the mean is to be taken of; it would be lost. Choose another name.")


def save_mean(mean: npt.ArrayLike, path: Path, **attributes: Any) -> None:
    """Write a mean as `SubMean` reads it.

    Args:
        mean: of the shape of a sample.
        path: the file, replaced as a whole.
        attributes: of the file.

    Raises:
        MochaError: the file cannot be written.
    """
    with writing(path), atomic_path(path) as temporary, create_file(temporary) as file:
        file.create_dataset(MEAN, data=np.asarray(mean, np.float32))
        file.attrs.update(attributes)
