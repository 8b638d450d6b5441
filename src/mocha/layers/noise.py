"""The layer whose tops are random numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mocha.data import NormalSource, Source
from mocha.layers.data import SourceLayer


class RandomNormalLayer(SourceLayer):
    """Blobs of independent, standard normally distributed numbers, new ones in each batch.

    Batch n is determined by the net's seed, the layer's name and n: a run can be repeated, and resumed. The layer has
    no epochs; those of the net are its first data layer's.

    Shapes: top i (batch_sizes[i], *output_dims).

    Args:
        output_dims: the shape of an example, without the batch axis, row-major. (Mocha.jl's is reversed.)
        batch_sizes: examples in a batch, one number a top, each >= 1.
        eltype: float32 or float64; that of the net's data.

    Examples:
        >>> noise = RandomNormalLayer(tops=["z"], output_dims=(2, 3), batch_sizes=[100])
        >>> with DefaultBackend() as backend, Net("example", backend, [noise]) as net:
        ...     z = net.next_batch()["z"]
        >>> z.shape, z.dtype
        ((100, 2, 3), dtype('float32'))
    """

    name: str = "random-normal"
    output_dims: Sequence[int]
    batch_sizes: Sequence[int]
    eltype: npt.DTypeLike = np.float32

    def check(self) -> None:
        """Property by property."""
        for field in ("output_dims", "batch_sizes"):
            value = getattr(self, field)
            whole = isinstance(value, (tuple, list)) and not any(
                isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in value
            )
            if not whole or (field == "batch_sizes" and len(value) != len(self.tops)):
                expected = (
                    "the positive extents of an example, without the batch"
                    if field == "output_dims"
                    else f"a positive number for each of the tops {list(self.tops)}"
                )
                self.wrong(field, value, expected)
            self.settle(field, tuple(value))
        try:
            known = np.dtype(self.eltype) in (np.dtype(np.float32), np.dtype(np.float64))
        except TypeError:
            known = False
        if not known or self.eltype is None:
            self.wrong("eltype", self.eltype, "float32 or float64")

    def open(self, seed: int) -> Source:
        """The stream of numbers."""
        shapes = [(n, *self.output_dims) for n in self.batch_sizes]
        return NormalSource(self.tops, shapes, self.eltype, seed=seed, name=self.name)
