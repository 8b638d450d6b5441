"""Layers written in Python, as Caffe's `Python` layers are: classes that a net's file names."""

from __future__ import annotations

import dataclasses
import importlib
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from mocha.caffe.layer_types.base import Blob, CaffeLayer
from mocha.errors import ConfigError, ShapeError
from mocha.graph import Graph, Phase, Value
from mocha.ops import Array, Op, Shape, Spec
from mocha.parameters import Initializer
from mocha.random import Draw

_allowed = False


def allow_python_layers(allow: bool = True) -> None:
    """Let nets run the Python code that their files name.

    A net's file names a module and a class; both are imported and run. So a file from a stranger is a program of a
    stranger: that is why this must be said first. `MOCHA_ALLOW_PYTHON_LAYERS=1` in the environment says it too.
    """
    global _allowed
    _allowed = allow


def python_layers_allowed() -> bool:
    """Whether they are."""
    return _allowed or os.environ.get("MOCHA_ALLOW_PYTHON_LAYERS", "").lower() in ("1", "true", "yes", "on")


@contextmanager
def allowing(allow: bool | None) -> Iterator[None]:
    """Within it, Python layers are allowed or not; None leaves it as it is."""
    global _allowed
    before = _allowed
    _allowed = before if allow is None else allow
    try:
        yield
    finally:
        _allowed = before


class PythonBlob:
    """What a Python layer sees of a blob: `data`, `diff`, `shape`, `reshape`."""

    def __init__(self, shape: Shape = ()) -> None:
        self.data: Array = np.zeros(shape, np.float32)
        self.diff: Array = np.zeros(shape, np.float32)

    def reshape(self, *shape: int) -> None:
        """Another shape; the numbers are 0 then, if the size is another one too."""
        shape = tuple(int(n) for n in shape)
        if self.data.size == math.prod(shape):
            self.data, self.diff = self.data.reshape(shape), self.diff.reshape(shape)
        else:
            self.data, self.diff = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    @property
    def shape(self) -> Shape:
        """The present shape."""
        return tuple(self.data.shape)

    @property
    def count(self) -> int:
        """The number of elements."""
        return int(self.data.size)

    def _legacy(self, axis: int) -> int:
        return self.shape[axis] if axis < len(self.shape) else 1

    num = property(lambda self: self._legacy(0))
    channels = property(lambda self: self._legacy(1))
    height = property(lambda self: self._legacy(2))
    width = property(lambda self: self._legacy(3))


class BlobVec(list[PythonBlob]):
    """The parameters of a Python layer."""

    def add_blob(self, *shape: int) -> PythonBlob:
        """A new one."""
        self.append(PythonBlob(shape))
        return self[-1]


@dataclasses.dataclass(frozen=True)
class _Given(Initializer):
    """What `setup` has put into a blob."""

    blob: PythonBlob

    def values(self, shape: Shape, draw: Draw) -> Array:
        """The same numbers."""
        return np.array(self.blob.data)


class PythonLayer:
    """The base of layers written in Python: `caffe.Layer`.

    Give it `setup`, `reshape`, `forward` and `backward`. `param_str` is what the net's file says, `phase` 0 in training
    and 1 in testing, `blobs.add_blob(*shape)` in `setup` makes a parameter.
    """

    param_str: str = ""
    phase: int = 0
    type = "Python"

    def __init__(self) -> None:
        self.blobs = BlobVec()

    def setup(self, bottom: Sequence[PythonBlob], top: Sequence[PythonBlob]) -> None:
        """Once, when the net is made."""

    def reshape(self, bottom: Sequence[PythonBlob], top: Sequence[PythonBlob]) -> None:
        """Give the tops their shapes; before each forward."""

    def forward(self, bottom: Sequence[PythonBlob], top: Sequence[PythonBlob]) -> None:
        """Fill the tops' data."""

    def backward(self, top: Sequence[PythonBlob], propagate_down: Sequence[bool], bottom: Sequence[PythonBlob]) -> None:
        """Fill the bottoms' diff, where asked."""


@dataclasses.dataclass(eq=False)
class _Instance:
    """A layer of the user's with the blobs that it sees."""

    layer: Any
    bottom: list[PythonBlob]
    top: list[PythonBlob]
    where: str

    def set_bottoms(self, arrays: Sequence[Array | Spec]) -> None:
        """Give the bottoms shapes and numbers, and have the tops follow."""
        for blob, array in zip(self.bottom, arrays, strict=True):
            blob.reshape(*array.shape)
            if isinstance(array, np.ndarray):
                blob.data[...] = array
        self.layer.reshape(self.bottom, self.top)


@dataclasses.dataclass(frozen=True, eq=False)
class PythonCall(Op):
    """A call of the user's layer: bottoms and parameters in, tops out."""

    instance: _Instance
    n_bottoms: int
    errors_pass: ClassVar[bool] = True

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        """What `reshape` says."""
        self.instance.set_bottoms(inputs[: self.n_bottoms])
        dtype = inputs[0].dtype if inputs else np.dtype(np.float32)
        return tuple(Spec(top.shape, dtype) for top in self.instance.top)

    def _take(self, inputs: Sequence[Array]) -> None:
        self.instance.set_bottoms(inputs[: self.n_bottoms])
        for blob, array in zip(self.instance.layer.blobs, inputs[self.n_bottoms :], strict=True):
            blob.data[...] = array

    def forward(self, *inputs: Array) -> tuple[Array, ...]:
        """The user's forward."""
        self._take(inputs)
        shapes = [top.shape for top in self.instance.top]
        self.instance.layer.forward(self.instance.bottom, self.instance.top)
        if [top.shape for top in self.instance.top] != shapes:
            raise ShapeError(f"{self.instance.where}: forward changed the shape of a top; reshape must do that.")
        return tuple(np.array(top.data) for top in self.instance.top)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """The user's backward."""
        instance = self.instance
        self._take(inputs)
        for top, grad, output in zip(instance.top, grads, outputs, strict=True):
            top.data[...], top.diff[...] = output, grad
        for blob in (*instance.bottom, *instance.layer.blobs):
            blob.diff[...] = 0
        down = list(wanted[: self.n_bottoms])
        instance.layer.backward(instance.top, down, instance.bottom)
        blobs = (*instance.bottom, *instance.layer.blobs)
        return [np.array(blob.diff) if want else None for blob, want in zip(blobs, wanted, strict=True)]


class Python(CaffeLayer):
    """A layer of the user's own."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (0, None)
    top_counts: ClassVar[tuple[int, int | None]] = (0, None)
    made: dict[Any, _Instance] = dataclasses.field(default_factory=dict)

    def instance(self, phase: Phase, *inputs: Spec) -> _Instance:
        """The user's layer, made at the first time.

        Raises:
            ConfigError: Python layers are not allowed, or there is no such class.
        """
        if phase not in self.made:
            p, where = self.about.python_param, f"layer {self.name!r} (Python)"
            if not python_layers_allowed():
                self.refuse(
                    f"its file names Python code to run, {p.module}.{p.layer}. If you trust the file, call "
                    "caffe.allow_python_layers() first, or set MOCHA_ALLOW_PYTHON_LAYERS=1"
                )
            try:
                kind = getattr(importlib.import_module(p.module), p.layer)
            except (ImportError, AttributeError, ValueError) as error:
                raise ConfigError(f"{where}: there is no {p.module}.{p.layer}: {error}.") from error
            if not (isinstance(kind, type) and issubclass(kind, PythonLayer)):
                raise ConfigError(f"{where}: {p.module}.{p.layer} is {kind!r}; expected a subclass of caffe.Layer.")
            layer = kind.__new__(kind)
            PythonLayer.__init__(layer)
            layer.param_str, layer.phase = p.param_str, 0 if phase is Phase.TRAIN else 1
            bottom, top = [PythonBlob(x.shape) for x in inputs], [PythonBlob() for _ in self.tops]
            layer.setup(bottom, top)
            self.made[phase] = _Instance(layer, bottom, top, where)
        return self.made[phase]

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """What `setup` added."""
        phase = next(iter(self.made), Phase.TEST if self.about.phase else Phase.TRAIN)
        layer = self.instance(phase, *inputs).layer
        return [Blob(str(i), blob.shape, _Given(blob)) for i, blob in enumerate(layer.blobs)]

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        instance = self.instance(g.phase, *(x.spec for x in inputs))
        return g.apply(PythonCall(instance, len(inputs)), *inputs, *blobs)
