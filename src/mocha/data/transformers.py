"""What is done to a batch after it is read: small classes with a `__call__`. Write your own as a `Transformer`."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from mocha.errors import ConfigError, FormatError
from mocha.io.hdf5 import find_dataset, open_hdf5, read_array, reading
from mocha.ops import Array, Spec


class Transformer(ABC):
    """Changes the values of a batch and keeps its shape and type."""

    def prepare(self, spec: Spec) -> None:
        """Look at the batches to come, once for each source, before the first.

        Args:
            spec: shape and type of a batch, axis 0 counting the samples.

        Raises:
            ConfigError, FormatError: the transformer does not fit such batches.
        """

    @abstractmethod
    def __call__(self, batch: Array) -> Array:
        """The batch, transformed. It may be changed in place and returned: nobody else has it yet."""


@dataclasses.dataclass(frozen=True, eq=False)
class SubMean(Transformer):
    """Subtracts a mean sample. Exactly one of the two arguments is given.

    Args:
        mean_file: an HDF5 file with the dataset ``mean``, of a sample's shape or with an axis of length 1 before it.
        mean_blob: the mean itself, of such a shape.

    Examples:
        >>> data = MemoryDataLayer(
        ...     data=[[[1.0, 2.0], [3.0, 6.0]]], tops=["x"], batch_size=2,
        ...     transformers=[("x", DataTransformers.SubMean(mean_blob=np.array([2.0, 4.0])))],
        ... )
        >>> with DefaultBackend() as backend, Net("example", backend, [data]) as net:
        ...     print(net.next_batch()["x"])
        [[-1. -2.]
         [ 1.  2.]]
    """

    mean_file: str | Path = ""
    mean_blob: Array | None = None
    _mean: Array | None = dataclasses.field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if bool(str(self.mean_file)) == (self.mean_blob is not None):
            given = "both" if self.mean_blob is not None else "neither"
            raise ConfigError(f"SubMean: expected one of mean_file and mean_blob, received {given}.")
        if self.mean_blob is not None:
            mean = np.array(self.mean_blob)
            if mean.dtype.kind not in "fiu":
                raise ConfigError(f"SubMean: mean_blob has elements of type {mean.dtype}; expected numbers.")
            object.__setattr__(self, "_mean", mean)

    def prepare(self, spec: Spec) -> None:
        """Load the mean, if not done yet, and compare its shape with a sample's."""
        sample = spec.shape[1:]
        if self._mean is None:
            with open_hdf5(self.mean_file) as file, reading(self.mean_file):
                object.__setattr__(self, "_mean", read_array(find_dataset(file, "mean"), kinds="fiu"))
        assert self._mean is not None
        if self._mean.shape not in (sample, (1, *sample)):
            wanted = f"expected {sample}, the shape of a sample, or {(1, *sample)}. Compute it from these data."
            if self.mean_blob is not None:
                raise ConfigError(f"SubMean: mean_blob has shape {self._mean.shape}; {wanted}")
            raise FormatError(f"{self.mean_file}: dataset 'mean' has shape {self._mean.shape}; {wanted}")

    def __call__(self, batch: Array) -> Array:
        """The batch less the mean."""
        if self._mean is None or self._mean.ndim not in (batch.ndim - 1, batch.ndim):
            self.prepare(Spec.of(batch))
        assert self._mean is not None
        batch -= self._mean.astype(batch.dtype, copy=False)
        return batch


@dataclasses.dataclass(frozen=True)
class Scale(Transformer):
    """Multiplies by a number.

    Args:
        scale: the number.

    Examples:
        >>> data = MemoryDataLayer(
        ...     data=[[[0.0, 128.0]]], tops=["x"], batch_size=1, transformers=[("x", DataTransformers.Scale(1 / 256))]
        ... )
        >>> with DefaultBackend() as backend, Net("example", backend, [data]) as net:
        ...     print(net.next_batch()["x"])
        [[0.  0.5]]
    """

    scale: float = 1.0

    def __call__(self, batch: Array) -> Array:
        """The batch times the number."""
        batch *= batch.dtype.type(self.scale)
        return batch


class DataTransformers:
    """The transformers under the names that Mocha gives them: `DataTransformers.SubMean`, `DataTransformers.Scale`."""

    SubMean = SubMean
    Scale = Scale
