"""Batches of random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mocha.data.source import Source
from mocha.ops import Array, Shape, Spec
from mocha.random import normal, stream_of


class NormalSource(Source):
    """Batches of independent, standard normally distributed numbers. They never end and have no epochs.

    Batch n of a top is draw n of the stream that the name of the source and that of the top give: see `mocha.random`.

    Args:
        tops: the names of the blobs.
        shapes: for each top the shape of a batch, axis 0 counting the samples.
        dtype: float32 or float64.
        seed: what the numbers depend on, with the name.
        name: the layer's name.
    """

    endless: ClassVar[bool] = True

    def __init__(
        self, tops: Sequence[str], shapes: Sequence[Shape], dtype: npt.DTypeLike, *, seed: int = 0, name: str = ""
    ) -> None:
        self.specs = {top: Spec(shape, np.dtype(dtype)) for top, shape in zip(tops, shapes, strict=True)}
        self.examples = self.batch_size = shapes[0][0]
        self._seed = seed
        self._streams = {top: stream_of("random-normal", name, top) for top in tops}

    def batch(self, number: int) -> dict[str, Array]:
        """A batch: drawn in float64, then rounded to the type."""
        return {
            top: normal(self._seed, self._streams[top], number, spec.size).reshape(spec.shape).astype(spec.dtype)
            for top, spec in self.specs.items()
        }

    def epoch(self, batches: int) -> int:
        """None ever ends."""
        return 0
