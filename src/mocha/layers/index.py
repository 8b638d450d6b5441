"""Layers that turn scores into class numbers, and class numbers into distributions."""

from __future__ import annotations

from collections.abc import Sequence

from mocha import ops
from mocha.graph import Graph, Value
from mocha.layers.base import Layer, dimension, positive_int


class ArgmaxLayer(Layer):
    """The number of the largest element along an axis, from 0, in the net's floating-point type. No gradient.

    Shapes: bottom (N, ..., C, ...) -> top (N, ..., 1, ...). Of equal elements the first counts. float32 counts exactly
    up to 2^24.

    Args:
        dim: the axis, from 0 for the batch; not the batch.

    Examples:
        >>> run_layers(ArgmaxLayer(bottoms=["scores"], tops=["best"]), scores=[[0.1, 0.7, 0.2], [0.5, 0.5, 0]])["best"]
        array([[1.],
               [0.]])
    """

    name: str = "argmax"
    dim: int = 1

    def check(self) -> None:
        """Property by property."""
        _not_the_batch(self)

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op a bottom."""
        return [g(ops.Argmax(self.dim), x) for x in inputs]


class Index2OnehotLayer(Layer):
    """Class numbers become distributions: 1 at the place of the class, 0 at the others. No gradient.

    Shapes: bottom (N, ..., 1, ...) -> top (N, ..., n_class, ...); a bottom without the axis, such as labels (N), is
    taken to have it as its last. A number that is no class's stops the run with a `FormatError`.

    Args:
        n_class: number of classes, >= 1.
        dim: the axis of the classes, from 0 for the batch; not the batch.

    Examples:
        >>> run_layers(Index2OnehotLayer(n_class=3, bottoms=["label"], tops=["y"]), label=[[0], [2]])["y"]
        array([[1., 0., 0.],
               [0., 0., 1.]])
    """

    name: str = "index2onehot"
    n_class: int
    dim: int = 1

    def check(self) -> None:
        """Property by property."""
        positive_int(self, "n_class")
        _not_the_batch(self)

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op a bottom."""
        return [g(ops.OneHot(self.n_class, self.dim), self._with_axis(g, x)) for x in inputs]

    def _with_axis(self, g: Graph, x: Value) -> Value:
        return g(ops.Reshape((*x.shape, 1)), x) if len(x.shape) == self.dim else x


def _not_the_batch(layer: ArgmaxLayer | Index2OnehotLayer) -> None:
    dimension(layer, "dim")
    if layer.dim == 0:
        layer.wrong("dim", layer.dim, "another axis than the batch")
