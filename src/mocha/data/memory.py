"""Batches from arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mocha.data.order import Piece
from mocha.data.samples import NUMBERS, Samples, float_dtype
from mocha.data.transformers import Transformer
from mocha.errors import ConfigError
from mocha.ops import Array


class MemorySource(Samples):
    """Batches from arrays in memory.

    The arrays are not copied: their owner may change the values in them at any time, and the next batch has the new
    ones. They are converted batch by batch.

    Args:
        data: one array a top, (samples, ...), of any real numbers.
        tops: the names of the blobs.
        batch_size: samples in a batch, > 0.
        shuffle: whether each epoch has an order of its own.
        transformers: pairs of a top and what is done to its batches, in this order.
        seed: what the order depends on, with the name.
        name: the layer's name.
        dtype: float32 or float64; None means float64 if the first array is float64, else float32.

    Raises:
        ConfigError: the arrays do not fit the tops or each other, or are empty or no numbers.
    """

    live: ClassVar[bool] = True

    def __init__(
        self,
        data: Sequence[npt.ArrayLike],
        tops: Sequence[str],
        batch_size: int,
        *,
        shuffle: bool = False,
        transformers: Sequence[tuple[str, Transformer]] = (),
        seed: int = 0,
        name: str = "",
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__(tops, batch_size, shuffle=shuffle, seed=seed, name=name)
        if len(data) != len(self.tops):
            raise ConfigError(
                f"{self.prefix}received {len(data)} arrays for {len(self.tops)} tops ({', '.join(self.tops)}); "
                "expected one array a top."
            )
        self._data = tuple(self._checked_array(top, array) for top, array in zip(self.tops, data, strict=True))
        counts = {top: len(array) for top, array in zip(self.tops, self._data, strict=True)}
        if len(set(counts.values())) > 1:
            raise ConfigError(f"{self.prefix}the arrays have different numbers of samples: {counts}.")
        self.arrange(
            [array.shape[1:] for array in self._data],
            [[len(self._data[0])]],
            float_dtype(dtype, self._data[0].dtype, self.prefix),
            transformers,
        )

    def _checked_array(self, top: str, data: npt.ArrayLike) -> Array:
        try:
            array = np.asarray(data)
        except ValueError as error:  # rows of different lengths
            raise ConfigError(f"{self.prefix}the data for {top!r} are no array ({error}).") from error
        if array.dtype.kind not in NUMBERS:
            raise ConfigError(
                f"{self.prefix}the array for {top!r} has elements of type {array.dtype}; expected numbers."
            )
        if array.ndim == 0 or len(array) == 0:
            raise ConfigError(
                f"{self.prefix}the array for {top!r} has shape {array.shape}; expected (samples, ...), "
                "one sample at least."
            )
        return array

    def rows(self, top: int, piece: Piece) -> Array:
        """The samples of a piece, as they are now."""
        return self._data[top][piece.rows]
