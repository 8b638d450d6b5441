"""Layers that hand blobs out of the net, batch by batch. They have no tops."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from mocha.data import HDF5Sink, MemorySink, Sink
from mocha.graph import Graph, Value
from mocha.layers.base import Layer


class OutputLayer(Layer):
    """What output layers share: after each forward pass of the net, training or testing, their bottoms are taken."""

    n_tops: ClassVar[int | None] = 0

    @abstractmethod
    def open(self) -> Sink:
        """Where the batches go; asked for when the net is made."""

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """No op: the values are read after each run."""
        g.output(self.name, inputs)
        return []


class MemoryOutputLayer(OutputLayer):
    """Keeps the bottoms of each forward pass in memory.

    ``net.outputs("memory-output")`` gives, for each bottom, the list of its arrays so far; ``net.reset_outputs()``
    empties the lists, which grow without end otherwise.

    Examples:
        >>> data = MemoryDataLayer(data=[np.arange(4.0).reshape(4, 1)], tops=["x"], batch_size=2)
        >>> output = MemoryOutputLayer(name="kept", bottoms=["x"])
        >>> with DefaultBackend() as backend, Net("example", backend, [data, output]) as net:
        ...     for _ in range(2):
        ...         _ = net.forward()
        ...     print([batch.ravel() for batch in net.outputs("kept")[0]])
        [array([0., 1.]), array([2., 3.])]
    """

    name: str = "memory-output"

    def open(self) -> Sink:
        """Lists."""
        return MemorySink(len(self.bottoms))


class HDF5OutputLayer(OutputLayer):
    """Appends the bottoms of each forward pass to an HDF5 file, one data set a bottom, examples along the first axis.

    The file has its name once the net is closed (`destroy(net)`, or the end of its ``with`` block); until then it is a
    temporary one beside it.

    Args:
        filename: the file.
        datasets: names of the data sets, one a bottom; the bottoms' own unless told.
        force_overwrite: replace a file of that name; otherwise it is an error if there is one.

    Examples:
        >>> double = PowerLayer(scale=2, bottoms=["x"], tops=["y"])
        >>> output = HDF5OutputLayer(filename="doubled.hdf5", bottoms=["y"])
        >>> _ = run_layers(double, output, x=[[1], [2], [3]])
        >>> with h5py.File("doubled.hdf5") as file:
        ...     print(file["y"][:].ravel())
        [2. 4. 6.]
    """

    name: str = "hdf5-output"
    filename: str | os.PathLike[str]
    datasets: Sequence[str] = ()
    force_overwrite: bool = False

    def check(self) -> None:
        """Property by property."""
        if not isinstance(self.filename, (str, os.PathLike)) or not os.fspath(self.filename):
            self.wrong("filename", self.filename, "the path of a file")
        names = tuple(self.datasets)
        if isinstance(self.datasets, str) or not all(isinstance(n, str) and n.strip("./") for n in names):
            self.wrong("datasets", self.datasets, "a list of names")
        if names and (len(names) != len(self.bottoms) or len(set(names)) != len(names)):
            self.wrong("datasets", list(names), f"none, or {len(self.bottoms)} distinct names, one a bottom")
        self.settle("datasets", names)

    def open(self) -> Sink:
        """The file."""
        about = f"HDF5OutputLayer({self.name!r})"
        return HDF5Sink(self.filename, self.datasets or self.bottoms, overwrite=self.force_overwrite, about=about)
