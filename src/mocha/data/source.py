"""What a source of data is: an endless sequence of batches, each a pure function of its number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from mocha.ops import Array, Spec


class Source(ABC):
    """An endless sequence of batches, each a pure function of its number.

    The samples of epoch 0 come in their order, then those of epoch 1 in theirs, and so on without a gap. Batch n is
    the samples n*b to (n+1)*b - 1 of that stream, b being the batch size: a batch may span two files and two epochs,
    or several epochs where it is larger than one.

    Attributes:
        specs: for each top its batch, axis 0 counting the samples; all of float32 or all of float64.
        examples: the samples in one epoch, > 0.
        batch_size: the samples in one batch, > 0.
    """

    specs: dict[str, Spec]
    examples: int
    batch_size: int

    live: ClassVar[bool] = False
    """The data may be edited by their owner while they are read, so no batch may be fetched before it is asked for."""

    endless: ClassVar[bool] = False
    """There are no epochs: `examples` means nothing, and nobody waits for an epoch of this source to end."""

    @abstractmethod
    def batch(self, number: int) -> dict[str, Array]:
        """A batch: for each top a new C-contiguous array as its spec says, the caller's to keep and to change.

        Args:
            number: which batch, >= 0.

        Raises:
            FormatError: the data cannot be read, or are not any more what they were at construction.
        """

    def epoch(self, batches: int) -> int:
        """The epochs that end within the first `batches` batches: an epoch is over when its last sample is used."""
        return batches * self.batch_size // self.examples

    def close(self) -> None:
        """Release files and memory. A later `batch` opens them again by itself."""
