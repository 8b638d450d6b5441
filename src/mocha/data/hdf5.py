"""Batches from HDF5 files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mocha.data.hdf5_files import DataFile, OpenFile, inspect, list_files
from mocha.data.order import Piece
from mocha.data.samples import Samples, float_dtype
from mocha.data.transformers import Transformer
from mocha.errors import ConfigError, FormatError
from mocha.io.hdf5 import reading
from mocha.ops import Array

MAX_OPEN = 16

_Held = tuple[tuple[int, int], list[Array]]
_NOTHING: _Held = (-1, -1), []


class HDF5Source(Samples):
    """Batches from HDF5 files: in each file one dataset a top, named as the top, axis 0 counting the samples.

    Shuffled, the order of the files is new in each epoch. A file whose datasets are all contiguous is permuted as a
    whole, read through a memory map. One with a chunked or compressed dataset is cut into blocks of `chunk_size`
    samples: their order is permuted, and the samples within each, and one block at a time is held in memory.

    A source may be made in one thread or process and read in another; files are opened when they are needed.

    Args:
        source: a text file with one HDF5 path a line, or one HDF5 file (``.h5``, ``.hdf5``), or a list of them. A
            relative path in a list file is looked for in the working directory, then next to the list file.
        tops: the names of the blobs and of the datasets.
        batch_size: samples in a batch, > 0.
        shuffle: whether each epoch has an order of its own.
        chunk_size: samples in a block, > 0; it has nothing to do with the chunks of HDF5.
        transformers: pairs of a top and what is done to its batches, in this order.
        seed: what the order depends on, with the name.
        name: the layer's name.
        dtype: float32 or float64; None means float64 if the first top's data are float64, else float32.

    Raises:
        ConfigError: an argument cannot be.
        FormatError: a file is missing or damaged, or the data in it do not fit.
    """

    _open: dict[int, OpenFile]
    _held: _Held

    def __init__(
        self,
        source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        tops: Sequence[str],
        batch_size: int,
        *,
        shuffle: bool = False,
        chunk_size: int = 2**20,
        transformers: Sequence[tuple[str, Transformer]] = (),
        seed: int = 0,
        name: str = "",
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__(tops, batch_size, shuffle=shuffle, seed=seed, name=name)
        if isinstance(chunk_size, bool) or not isinstance(chunk_size, (int, np.integer)) or chunk_size < 1:
            raise ConfigError(f"{self.prefix}chunk_size is {chunk_size!r}; expected a whole number above 0.")
        try:
            self._files = [inspect(path, self.tops) for path in list_files(source)]
            for file in self._files[1:]:
                file.check_like(self._files[0])
        except FormatError as error:
            raise FormatError(f"{self.prefix}{error}") from error
        first = self._files[0]
        self.arrange(
            first.features,
            [self._blocks(file, int(chunk_size)) for file in self._files],
            float_dtype(dtype, first.dtypes[0], self.prefix),
            transformers,
        )
        self._forget()

    def _blocks(self, file: DataFile, chunk_size: int) -> list[int]:
        if not self._shuffle or file.mappable:
            return [file.samples]
        whole, rest = divmod(file.samples, chunk_size)
        return [chunk_size] * whole + [rest] * (rest > 0)

    def rows(self, top: int, piece: Piece) -> Array:
        """The samples of a piece, from the memory map, from the block at hand, or from the file."""
        file = self._opened(piece.file)
        with reading(file.about.path):
            if isinstance(piece.rows, slice):
                begin = piece.start + piece.rows.start
                return file.read(top, begin, begin + piece.length)
            if file.about.mappable:
                return file.mapped(top)[piece.rows]
            return self._block(file, piece)[top][piece.rows]

    def _block(self, file: OpenFile, piece: Piece) -> list[Array]:
        """A block of all tops. It is replaced in one step, so that two threads at worst read one twice."""
        key, block = self._held
        if key != (piece.file, piece.start):
            self._held = _NOTHING  # let go of the old one before the new one is read
            block = [file.read(top, piece.start, piece.stop) for top in range(len(self.tops))]
            self._held = (piece.file, piece.start), block
        return block

    def _opened(self, index: int) -> OpenFile:
        # A fork shares the open files with its parent: it lets go of them and opens its own.
        if self._pid != os.getpid():
            self._forget()
        file = self._open.get(index)
        if file is None:
            if len(self._open) >= MAX_OPEN:
                self._open = {}  # they close themselves, once nobody reads from them
            file = self._open[index] = OpenFile(self._files[index])
        return file

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._open = {}
        self._held = _NOTHING

    def close(self) -> None:
        """Close the files and drop the block that is held. A later `batch` opens them again."""
        files = list(self._open.values())
        self._forget()
        for file in files:
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                file.close()
