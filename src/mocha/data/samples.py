"""What the sources of samples that lie in files or arrays have in common: order, batches, types, transformers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.data.order import Order, Piece
from mocha.data.source import Source
from mocha.data.transformers import Transformer
from mocha.errors import ConfigError, ShapeError, did_you_mean
from mocha.ops import Array, Shape, Spec
from mocha.random import checked_seed

NUMBERS = "biuf"
"""The kinds of element type, as NumPy's letters, that become float32 or float64."""


class Samples(Source):
    """A source whose samples can be told apart: the rest is saying how to read some of them.

    A subclass checks its arguments, calls `arrange`, and gives `rows`.

    Args:
        tops: the names of the blobs.
        batch_size: samples in a batch, > 0.
        shuffle: whether each epoch has an order of its own.
        seed: 0 to 2**32 - 1.
        name: the layer's name, for messages and for the random order.

    Raises:
        ConfigError: one of these cannot be.
    """

    def __init__(self, tops: Sequence[str], batch_size: int, *, shuffle: bool, seed: int, name: str) -> None:
        self.name = name
        self.tops = tuple(tops)
        if isinstance(tops, str) or not self.tops or len(set(self.tops)) != len(self.tops) or "" in self.tops:
            raise ConfigError(
                f"{self.prefix}tops is {tops!r}; expected a list of different names, as ['data', 'label']."
            )
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ConfigError(f"{self.prefix}batch_size is {batch_size!r}; expected a whole number above 0.")
        self.batch_size = int(batch_size)
        self._shuffle = bool(shuffle)
        self._seed = checked_seed(seed)

    @property
    def prefix(self) -> str:
        """How a message about this source starts."""
        return f"layer {self.name!r}: " if self.name else ""

    def arrange(
        self,
        features: Sequence[Shape],
        files: Sequence[Sequence[int]],
        dtype: np.dtype[Any],
        transformers: Sequence[tuple[str, Transformer]],
    ) -> None:
        """Settle specs, order and transformers.

        Args:
            features: for each top the shape of one sample.
            files: for each file the sizes of its blocks, see `Order`.
            dtype: of all tops.
            transformers: pairs of a top and what is done to its batches, in this order.

        Raises:
            ConfigError, FormatError: a transformer names no top, or does not fit it.
        """
        self.specs = {
            top: Spec((self.batch_size, *shape), dtype) for top, shape in zip(self.tops, features, strict=True)
        }
        self._order = Order(files, shuffle=self._shuffle, seed=self._seed, name=self.name)
        self.examples = self._order.examples
        self._transformers = tuple(transformers)
        for top, transformer in self._transformers:
            if top not in self.specs:
                raise ConfigError(f"{self.prefix}a transformer is for {top!r}. {did_you_mean(top, self.tops)}")
            transformer.prepare(self.specs[top])

    @abstractmethod
    def rows(self, top: int, piece: Piece) -> Array:
        """The samples of a piece for a top, in any type of number: (piece.length, ...)."""

    def batch(self, number: int) -> dict[str, Array]:
        """The samples number * batch_size and on, as the order of the epochs has them."""
        if number < 0:
            raise ConfigError(f"{self.prefix}there is no batch {number}: batches are counted from 0.")
        first = number * self.batch_size
        out = {top: np.empty(spec.shape, spec.dtype) for top, spec in self.specs.items()}
        at = 0
        for piece in self._order.pieces(first, first + self.batch_size):
            for index, array in enumerate(out.values()):
                array[at : at + piece.length] = self.rows(index, piece)
            at += piece.length
        for top, transformer in self._transformers:
            out[top] = self._checked(top, transformer, transformer(out[top]))
        return out

    def _checked(self, top: str, transformer: Transformer, result: Array) -> Array:
        spec = self.specs[top]
        if result.shape != spec.shape:
            raise ShapeError(
                f"{self.prefix}{type(transformer).__name__} made {result.shape} of the batches of {top!r}; "
                f"expected {spec.shape}, as it received them."
            )
        return np.ascontiguousarray(result, spec.dtype)


def float_dtype(asked: npt.DTypeLike | None, first: np.dtype[Any], prefix: str) -> np.dtype[Any]:
    """The type of all tops: the one asked for, or float64 if the first top's data are float64, else float32.

    Raises:
        ConfigError: another type was asked for.
    """
    if asked is None:
        # Compared as kind and size, so that data of the other byte order count too.
        return np.dtype(np.float64 if first.kind == "f" and first.itemsize == 8 else np.float32)
    dtype: np.dtype[Any] = np.dtype(asked)
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ConfigError(f"{prefix}dtype is {dtype}; expected float32 or float64.")
    return dtype
