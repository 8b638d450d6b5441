"""Data layers: where batches come from. They have no bottoms; each top is a blob and a data set of the same name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy.typing as npt

from mocha.data import HDF5Source, MemorySource, Source, Transformer
from mocha.graph import Graph, Value
from mocha.layers.base import Layer, positive_int


class SourceLayer(Layer):
    """What layers share whose tops come from outside the net.

    Args:
        tops: names of the blobs, one or more.
    """

    n_bottoms: ClassVar[int | None] = 0
    prefetch: ClassVar[int] = 2
    """Batches that a thread gets ready ahead of the net."""

    def _check_counts(self) -> None:
        if self.bottoms:
            self.wrong("bottoms", list(self.bottoms), "none, for data come from outside")
        if not self.tops or len(set(self.tops)) != len(self.tops):
            self.wrong("tops", list(self.tops), "one or more distinct blob names")

    @abstractmethod
    def open(self, seed: int) -> Source:
        """The stream of batches.

        Args:
            seed: the net's.
        """

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """A data layer is no computation: the net makes its tops the inputs of the graph."""
        raise NotImplementedError


class DataLayer(SourceLayer):
    """What layers of examples share.

    The stream of examples is the data's order, epoch after epoch; with `shuffle`, each epoch has an order of its own,
    determined by the net's seed and the layer's name alone. A batch may span files and epochs.

    Args:
        tops: names of the blobs, and of the data sets that they come from.
        batch_size: examples in a batch, >= 1.
        shuffle: give each epoch a random order.
        transformers: pairs (top, transformer), applied to each batch in this order.
    """

    tops: Sequence[str] = ("data", "label")
    batch_size: int
    shuffle: bool = False
    transformers: Sequence[tuple[str, Transformer]] = ()

    def __post_init__(self) -> None:
        self.settle("transformers", tuple(self.transformers))
        super().__post_init__()

    def check(self) -> None:
        """Property by property."""
        positive_int(self, "batch_size")
        for item in self.transformers:
            if not isinstance(item, tuple) or len(item) != 2 or item[0] not in self.tops:
                self.wrong("transformers", item, f"pairs (top, transformer), with tops among {list(self.tops)}")


class HDF5DataLayer(DataLayer):
    """Batches from HDF5 files.

    Each file has one data set a top, named as the top, with the examples along the first axis. Floating-point, whole
    numbers and bytes are accepted; all become the net's type. The net computes in float64 if the first top's data are
    float64, else in float32.

    Args:
        source: a text file that lists HDF5 files, one a line; or one HDF5 file; or a list of such. A relative path in
            a list file is looked up from the working directory, then from the list file's folder.
        chunk_size: with `shuffle` and chunked or compressed data sets: examples that are read and mixed at a time.

    Examples:
        >>> with h5py.File("train.hdf5", "w") as file:
        ...     file["data"] = np.arange(12.0).reshape(6, 2)
        ...     file["label"] = np.arange(6) % 3
        >>> data = HDF5DataLayer(source="train.hdf5", batch_size=4)
        >>> with DefaultBackend() as backend, Net("example", backend, [data]) as net:
        ...     for _ in range(2):
        ...         print(net.next_batch()["label"], net.epoch)
        [0. 1. 2. 0.] 0
        [1. 2. 0. 1.] 1
    """

    name: str = "hdf5-data"
    source: str | Path | Sequence[str | Path]
    chunk_size: int = 2**20

    def check(self) -> None:
        """Property by property."""
        super().check()
        positive_int(self, "chunk_size")
        if not self.source:
            self.wrong("source", self.source, "a list file, an HDF5 file, or a list of HDF5 files")

    def open(self, seed: int) -> Source:
        """Open the files, check that they fit together."""
        return HDF5Source(
            self.source,
            self.tops,
            self.batch_size,
            shuffle=self.shuffle,
            chunk_size=self.chunk_size,
            transformers=self.transformers,
            seed=seed,
            name=self.name,
        )


class AsyncHDF5DataLayer(HDF5DataLayer):
    """The same as `HDF5DataLayer`, which reads ahead in a thread already: Mocha's other name for it.

    Examples:
        >>> AsyncHDF5DataLayer(source="train-list.txt", batch_size=64, shuffle=True).prefetch
        2
    """


class MemoryDataLayer(DataLayer):
    """Batches from arrays at hand, one a top. They may be edited in place between two batches.

    Args:
        data: one array a top, with the examples along the first axis, all of the same length.

    Examples:
        >>> images, labels = np.ones((5, 1, 2, 2), np.float32), np.arange(5)
        >>> data = MemoryDataLayer(data=[images, labels], batch_size=2)
        >>> with DefaultBackend() as backend, Net("example", backend, [data]) as net:
        ...     for _ in range(3):
        ...         print(net.next_batch()["label"], net.epoch)
        [0. 1.] 0
        [2. 3.] 0
        [4. 0.] 1
    """

    name: str = "memory-data"
    data: Sequence[npt.NDArray[Any]]
    prefetch: ClassVar[int] = 0

    def check(self) -> None:
        """Property by property."""
        super().check()
        if len(self.data) != len(self.tops):
            self.wrong("data", f"{len(self.data)} arrays", f"one for each of the tops {list(self.tops)}")

    def open(self, seed: int) -> Source:
        """The arrays as a stream of batches."""
        return MemorySource(
            self.data,
            self.tops,
            self.batch_size,
            shuffle=self.shuffle,
            transformers=self.transformers,
            seed=seed,
            name=self.name,
        )
