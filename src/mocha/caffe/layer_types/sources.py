"""Layers whose tops come from outside the net, and those that hand blobs out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mocha.caffe.fillers import filler
from mocha.caffe.layer_types.base import CaffeLayer
from mocha.data import HDF5Source, Sink, Source
from mocha.data.sinks import HDF5Sink
from mocha.graph import Graph, Value
from mocha.ops import Array, Shape, Spec
from mocha.parameters import ConstantInitializer
from mocha.random import Draw, stream_of

FLOAT = np.dtype(np.float32)


class SourceOfCaffe(CaffeLayer):
    """What the layers share that have no bottoms and are not learned."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (0, 0)
    top_counts: ClassVar[tuple[int, int | None]] = (1, None)

    def specs(self) -> dict[str, Spec]:
        """The tops' shapes and types, as long as no source says otherwise."""
        raise NotImplementedError

    def open(self, seed: int) -> Source | None:
        """Where batches come from; None for one that the user fills."""
        return None

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """The inputs of the graph."""
        return [g.input(top, spec) for top, spec in self.specs().items()]

    def shaped(self, shapes: Sequence[Sequence[int]]) -> dict[str, Spec]:
        """Top -> its spec, of one shape for all tops or one a top."""
        found = {}
        for top, shape in zip(self.tops, self.per_top("shape", shapes), strict=True):
            if len(shape) > 32 or min(shape, default=0) < 0 or math.prod(shape) >= 2**31:
                self.refuse(
                    f"shape {list(shape)}; expected at most 32 sizes >= 0, of below 2**31 elements, for {top!r}"
                )
            found[top] = Spec(tuple(shape), FLOAT)
        return found

    def per_top(self, what: str, given: Sequence[Any]) -> list[Any]:
        """A list that has nothing, one entry for all tops, or one a top."""
        if len(given) not in (1, len(self.tops)):
            self.refuse(f"{len(given)} {what} entries; expected one, or {len(self.tops)}, one a top")
        return list(given) * (len(self.tops) if len(given) == 1 else 1)


class Input(SourceOfCaffe):
    """Blobs that the user fills."""

    def specs(self) -> dict[str, Spec]:
        """The shapes of the message; without any, one number."""
        shapes = [tuple(shape.dim) for shape in self.about.input_param.shape] or [()]
        return self.shaped(shapes)


class DummySource(Source):
    """Batches made by fillers: constants, or new numbers for each batch."""

    endless: ClassVar[bool] = True

    def __init__(self, layer: DummyData, seed: int) -> None:
        self.specs = layer.specs()
        self.examples = self.batch_size = max(next(iter(self.specs.values())).shape[:1], default=1) or 1
        self._layer, self._seed = layer, seed
        self._fillers = layer.fillers()

    def batch(self, number: int) -> dict[str, Array]:
        """The numbers of one batch."""
        made = {}
        for (top, spec), initializer in zip(self.specs.items(), self._fillers, strict=True):
            still = isinstance(initializer, ConstantInitializer)
            draw = Draw(self._seed, stream_of("dummy data", self._layer.name, top), 0 if still else number)
            made[top] = np.asarray(initializer.values(spec.shape, draw), spec.dtype)
        return made

    def epoch(self, batches: int) -> int:
        """None ever ends."""
        return 0


class DummyData(SourceOfCaffe):
    """Blobs made by fillers."""

    def specs(self) -> dict[str, Spec]:
        """The shapes of the message, or num, channels, height and width."""
        p = self.about.dummy_data_param
        if p.shape:
            shapes: list[Shape] = [tuple(shape.dim) for shape in p.shape]
        else:
            sides = [self.per_top(side, getattr(p, side)) for side in ("num", "channels", "height", "width")]
            shapes = list(zip(*sides, strict=True))
        return self.shaped(shapes)

    def fillers(self) -> list[Any]:
        """One a top."""
        where = f"layer {self.name!r} (DummyData), data_filler"
        given = [filler(message, where) for message in self.about.dummy_data_param.data_filler]
        return self.per_top("data_filler", given or [ConstantInitializer(0.0)])

    def constants(self) -> dict[str, float]:
        """Top -> its number, of those that are filled once, when the net is made."""
        made = zip(self.tops, self.fillers(), strict=True)
        return {top: init.value for top, init in made if isinstance(init, ConstantInitializer)}

    def open(self, seed: int) -> Source:
        """The stream of batches."""
        return DummySource(self, seed)


class MemoryData(SourceOfCaffe):
    """Batches from arrays that the user hands in: images (N, C, H, W) and labels (N)."""

    top_counts: ClassVar[tuple[int, int | None]] = (2, 2)

    def specs(self) -> dict[str, Spec]:
        """The sizes of the message."""
        p = self.about.memory_data_param
        shape = (p.batch_size, p.channels, p.height, p.width)
        if min(shape) < 1:
            self.refuse(f"batch_size, channels, height and width are {shape}; expected numbers >= 1")
        return {self.tops[0]: Spec(shape, FLOAT), self.tops[1]: Spec(shape[:1], FLOAT)}


class HDF5Data(SourceOfCaffe):
    """Batches from HDF5 files that a list names, one data set a top."""

    def specs(self) -> dict[str, Spec]:
        """Those that the files have."""
        source = self.open(0)
        try:
            return source.specs
        finally:
            source.close()

    def open(self, seed: int) -> Source:
        """The stream of batches."""
        p = self.about.hdf5_data_param
        if self.about.HasField("transform_param"):
            self.refuse("transform_param; HDF5Data transforms nothing, as in Caffe. Transform the data in the file")
        if p.batch_size < 1:
            self.refuse(f"batch_size is {p.batch_size}; expected a number >= 1")
        return HDF5Source(
            Path(p.source), self.tops, p.batch_size, shuffle=p.shuffle, seed=seed, name=self.name, dtype=FLOAT
        )


class HDF5Output(CaffeLayer):
    """Appends its bottoms to a file, as data sets `data` and `label`. (Caffe's ends at the second pass.)"""

    bottom_counts: ClassVar[tuple[int, int | None]] = (2, 2)
    top_counts: ClassVar[tuple[int, int | None]] = (0, 0)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """The bottoms are handed out."""
        g.output(self.name, inputs)
        return []

    def open_sink(self) -> Sink:
        """The file, which has its name once it is closed."""
        where = f"layer {self.name!r} (HDF5Output)"
        path = self.about.hdf5_output_param.file_name
        if not path:
            self.refuse("file_name is missing")
        return HDF5Sink(path, ("data", "label"), overwrite=True, about=where)
