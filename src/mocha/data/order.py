"""The order of the samples: a pure function of the seed, the name of the source, and the epoch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.random import permutation, stream_of

Indices = npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
    """Samples that follow one another in the stream and lie in one block of one file.

    Attributes:
        file: which file.
        start: the first row of the block within the file.
        stop: the row after its last.
        rows: which rows, counted from `start`: a slice where they follow one another in the file too.
        length: how many.
    """

    file: int
    start: int
    stop: int
    rows: slice | Indices
    length: int


class Order:
    """Which samples come when, over all epochs.

    Samples lie in files, and in each file in blocks. In each epoch every sample comes once. Shuffled means that the
    files are permuted, then the blocks within each file, then the samples within each block: each time by
    `mocha.random.permutation`, counted by the epoch.

    Args:
        files: for each file the sizes of its blocks, all > 0.
        shuffle: whether to permute; else the samples come as they lie.
        seed: 0 to 2**32 - 1.
        name: the name of the source, so that two sources of one seed have orders of their own.
    """

    def __init__(self, files: Sequence[Sequence[int]], *, shuffle: bool, seed: int, name: str) -> None:
        self._file = np.repeat(np.arange(len(files)), [len(sizes) for sizes in files])
        self._size = np.concatenate([np.asarray(sizes, np.intp) for sizes in files])
        # Where each block starts in its file.
        self._start = np.concatenate([np.cumsum([0, *sizes[:-1]]) for sizes in files])
        self._first_block = np.cumsum([0, *(len(sizes) for sizes in files)])
        self._shuffle = shuffle
        self._seed = seed
        self._name = name
        self.examples = int(self._size.sum())
        # Two epochs meet in a batch, and so do two blocks. The caches may be used by several threads.
        self._epoch = functools.lru_cache(maxsize=2)(self._blocks_of_epoch)
        self._inner = functools.lru_cache(maxsize=2)(self._rows_of_block)

    def pieces(self, start: int, stop: int) -> Iterator[Piece]:
        """The samples `start` to `stop - 1` of the stream, piece by piece, in order."""
        while start < stop:
            epoch, at = divmod(start, self.examples)
            until = min(stop - epoch * self.examples, self.examples)
            yield from self._pieces_of_epoch(epoch, at, until)
            start += until - at

    def _pieces_of_epoch(self, epoch: int, at: int, until: int) -> Iterator[Piece]:
        blocks, ends = self._epoch(epoch)
        place = int(np.searchsorted(ends, at, side="right"))
        while at < until:
            block = int(blocks[place])
            size, end = int(self._size[block]), int(ends[place])
            begin, stop = at - (end - size), min(until, end) - (end - size)
            rows = self._inner(epoch, block)[begin:stop] if self._shuffle else slice(begin, stop)
            start = int(self._start[block])
            yield Piece(int(self._file[block]), start, start + size, rows, stop - begin)
            at += stop - begin
            place += 1

    def _blocks_of_epoch(self, epoch: int) -> tuple[Indices, Indices]:
        """The blocks in the order of an epoch, and how many samples are over after each of them."""
        blocks = np.arange(len(self._size))
        if self._shuffle:
            first = self._first_block
            files = self._permutation(epoch, len(first) - 1, "files")
            blocks = np.concatenate(
                [first[f] + self._permutation(epoch, int(first[f + 1] - first[f]), "blocks", f) for f in files]
            )
        return blocks, np.cumsum(self._size[blocks])

    def _rows_of_block(self, epoch: int, block: int) -> Indices:
        return self._permutation(epoch, int(self._size[block]), "rows", block)

    def _permutation(self, epoch: int, n: int, *what: Any) -> Indices:
        return permutation(self._seed, stream_of("data", self._name, *what), epoch, n)
