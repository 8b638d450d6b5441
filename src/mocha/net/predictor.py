"""Predictions of a net for arrays at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mocha.errors import ShapeError
from mocha.graph import Section, Value
from mocha.ops import Array, Shape
from mocha.visual.page import card, table

if TYPE_CHECKING:
    from mocha.net.net import Net


class Predictor:
    """Computes one blob of a net, in the testing phase, from arrays instead of the data layers' batches.

    Nothing is computed that the blob does not need, and a data blob that it does not depend on, the labels say, need
    not be given. The parameters are the net's at the time of the call.

    Args:
        net: the net.
        blob: name of the blob to compute.
    """

    def __init__(self, net: Net, blob: str) -> None:
        self._net = net
        self._executable = net.predicting(blob)
        self._name = blob
        self._blob = self._executable.program.find(blob)
        self._inputs = self._executable.program.inputs

    @property
    def inputs(self) -> list[str]:
        """Names of the data blobs that the blob depends on: the order of the arguments."""
        return [value.name for value in self._inputs]

    @property
    def input_shapes(self) -> list[Shape]:
        """The shape of a batch of each of `inputs`."""
        return [value.shape for value in self._inputs]

    @property
    def shape(self) -> Shape:
        """The shape of the blob for a batch."""
        return self._blob.shape

    def __call__(self, *arrays: npt.ArrayLike) -> Array:
        """The blob for these inputs.

        Args:
            *arrays: one a name in `inputs`, each (n, ...) with any number n of examples. They are run in batches of
                the net's size; what the last one lacks is filled with zeros and cut off again.

        Returns:
            (n, ...).

        Raises:
            ShapeError: the number of arrays or their shapes are wrong.
        """
        given = [np.asarray(array, value.dtype) for array, value in zip(arrays, self._inputs, strict=False)]
        if len(arrays) != len(self._inputs) or any(
            not self._fits(a, v) for a, v in zip(given, self._inputs, strict=True)
        ):
            shapes = ", ".join(str(np.shape(array)) for array in arrays)
            expected = ", ".join(f"{v.name} (n, {', '.join(map(str, v.shape[1:]))})" for v in self._inputs)
            raise ShapeError(f"net {self._net.name!r}: received arrays of shape {shapes}; expected {expected}.")
        count = len(given[0]) if given else 0
        if any(len(array) != count for array in given):
            raise ShapeError(f"net {self._net.name!r}: the arrays have different numbers of examples.")
        batch = self._inputs[0].shape[0] if self._inputs else 0
        if count == batch:
            return self._run(given)
        pieces = [self._run([_batch(array, start, batch) for array in given]) for start in range(0, count, batch)]
        return np.concatenate(pieces)[:count] if pieces else np.empty((0, *self._blob.shape[1:]), self._blob.dtype)

    def __repr__(self) -> str:
        return f"<predictor of {self._name!r} of net {self._net.name!r} from {', '.join(map(repr, self.inputs))}>"

    def _repr_html_(self) -> str:
        rows = [("from", v.name, per_example(v.shape)) for v in self._inputs]
        rows.append(("to", self._name, per_example(self._blob.shape)))
        return card(f"predictor of net {self._net.name!r}", table(("", "blob", "shape"), rows))

    def _fits(self, array: Array, value: Value) -> bool:
        return array.shape[1:] == value.shape[1:] and array.ndim == len(value.shape)

    def _run(self, batch: list[Array]) -> Array:
        self._executable.run(Section.FORWARD, feeds={v.name: a for v, a in zip(self._inputs, batch, strict=True)})
        return self._executable.read(self._blob)


def per_example(shape: Shape) -> str:
    """A shape for any number of examples: (64, 1, 28, 28) -> 'nx1x28x28'."""
    return "x".join(["n", *map(str, shape[1:])])


def _batch(array: Array, start: int, size: int) -> Array:
    """Examples [start, start + size), zeros where there are none."""
    piece = array[start : start + size]
    if len(piece) == size:
        return piece
    return np.concatenate([piece, np.zeros((size - len(piece), *array.shape[1:]), array.dtype)])
