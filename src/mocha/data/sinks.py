"""Where output layers put what a net computes."""

from __future__ import annotations

import contextlib
import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mocha.errors import ConfigError, StateError
from mocha.io.atomic import atomic_path
from mocha.ops import Array


class Sink(ABC):
    """Takes the arrays of an output layer, batch by batch."""

    @abstractmethod
    def write(self, arrays: Sequence[Array]) -> None:
        """Take one batch: one array for each bottom of the layer."""

    @property
    def collected(self) -> list[list[Array]]:
        """For each bottom the arrays so far, if they are kept in memory.

        Raises:
            StateError: they are not.
        """
        raise StateError("this layer keeps nothing in memory; read what it has written, after the net was closed.")

    def reset(self) -> None:
        """Forget what is kept in memory."""

    def close(self) -> None:
        """Finish. Nothing is written after that."""


class MemorySink(Sink):
    """Keeps all arrays.

    Args:
        count: how many there are in a batch.
    """

    def __init__(self, count: int) -> None:
        self._collected: list[list[Array]] = [[] for _ in range(count)]

    def write(self, arrays: Sequence[Array]) -> None:
        """Keep one batch."""
        for kept, array in zip(self._collected, arrays, strict=True):
            kept.append(array)

    @property
    def collected(self) -> list[list[Array]]:
        """For each bottom the arrays so far."""
        return self._collected

    def reset(self) -> None:
        """Forget them."""
        self._collected = [[] for _ in self._collected]


class HDF5Sink(Sink):
    """Appends batches to the data sets of a new HDF5 file.

    The file gets its name when the sink is closed, at the latest when Python ends: until then it is a temporary one in
    the same folder, so that no half-written file has the name.

    Args:
        path: the file.
        datasets: names of the data sets, one an array of a batch.
        overwrite: replace a file that is there.
        about: whom an error names.

    Raises:
        ConfigError: there is such a file, and it is not to be replaced; or it cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], datasets: Sequence[str], *, overwrite: bool, about: str) -> None:
        import h5py  # not everybody who makes nets has files written

        self._datasets = tuple(datasets)
        if Path(path).exists() and not overwrite:
            raise ConfigError(f"{about}: the file {os.fspath(path)} is there; set force_overwrite to replace it.")
        stack = contextlib.ExitStack()
        try:
            temporary = stack.enter_context(atomic_path(path))
            self._file: Any = stack.enter_context(h5py.File(temporary, "w"))
        except OSError as error:
            raise ConfigError(f"{about}: the file {os.fspath(path)} cannot be written: {error}.") from error
        self._finish = weakref.finalize(self, stack.close)

    def write(self, arrays: Sequence[Array]) -> None:
        """Append one batch to each data set; the first one makes them, with a batch as a chunk."""
        for name, array in zip(self._datasets, arrays, strict=True):
            if name not in self._file:
                shape = (0, *array.shape[1:])
                chunks = tuple(max(n, 1) for n in array.shape)
                self._file.create_dataset(name, shape, array.dtype, chunks=chunks, maxshape=(None, *array.shape[1:]))
            data = self._file[name]
            start = len(data)
            data.resize(start + len(array), axis=0)
            data[start:] = array

    def close(self) -> None:
        """Give the file its name."""
        self._finish()
