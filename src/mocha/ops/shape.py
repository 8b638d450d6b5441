"""Shape ops: the same elements under another shape, joined or cut."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Shape, Spec, check_axis, check_float

Indices = tuple[Sequence[int], Sequence[int]]


@dataclasses.dataclass(frozen=True)
class Reshape(Op):
    """The same elements in row-major order under another shape; no data moves.

    Args:
        shape: the whole new shape, the batch axis included.
    """

    shape: Shape
    is_view = True

    def infer(self, x: Spec) -> Spec:
        """Any shape of the same size."""
        if math.prod(self.shape) != x.size:
            raise ShapeError(
                f"{self.name}: an input of {x} has {x.size} elements; the shape {self.shape} needs "
                f"{math.prod(self.shape)}."
            )
        return Spec(self.shape, x.dtype)

    def forward(self, x: Array) -> Array:
        """The view."""
        return x.reshape(self.shape)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """The view back."""
        return grads[0].reshape(inputs[0].shape)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing but the shape."""
        return (), ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """None."""
        return 0


class _Renamed(Op):
    """The input under another name; no data moves."""

    is_view = True

    def infer(self, x: Spec) -> Spec:
        """Any shape, kept."""
        return x

    def forward(self, x: Array) -> Array:
        """The input itself."""
        return x

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """None."""
        return 0


@dataclasses.dataclass(frozen=True)
class Identity(_Renamed):
    """The input under another name; no data moves."""

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """The gradient itself."""
        return grads[0]

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing."""
        return (), ()


@dataclasses.dataclass(frozen=True)
class StopGradient(_Renamed):
    """The input under another name, by which no gradient goes back; no data moves."""

    gradient_by_design = "no gradient is let through on one of the ways"


@dataclasses.dataclass(frozen=True)
class Concat(Op):
    """One or more inputs, one behind the other along an axis; they agree in all other axes.

    Args:
        axis: the axis that grows.
    """

    axis: int = 1

    def infer(self, *inputs: Spec) -> Spec:
        """(..., C1, ...), (..., C2, ...), ... -> (..., C1 + C2 + ..., ...)."""
        if not inputs:
            raise ShapeError("Concat: received no input; expected at least one.")
        first = inputs[0]
        axis = check_axis(self, self.axis, first)
        for number, other in enumerate(inputs[1:], start=2):
            fits = other.ndim == first.ndim and all(
                a == b for i, (a, b) in enumerate(zip(first.shape, other.shape, strict=True)) if i != axis
            )
            if not fits or other.dtype != first.dtype:
                raise ShapeError(
                    f"{self.name}: input {number} is {other}, input 1 is {first}; expected equal types and equal "
                    "extents on "
                    f"every axis but {axis}."
                )
        total = sum(x.shape[axis] for x in inputs)
        return Spec((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)

    def forward(self, *inputs: Array) -> Array:
        """The inputs joined."""
        return np.concatenate(inputs, axis=self.axis)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Each input its piece."""
        cuts = np.cumsum([x.shape[self.axis] for x in inputs])[:-1]
        return [np.ascontiguousarray(piece) for piece in np.split(grads[0], cuts, axis=self.axis)]

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing but the shapes."""
        return (), ()


@dataclasses.dataclass(frozen=True)
class Slice(Op):
    """The input cut along an axis into pieces of the given extents.

    Args:
        sizes: extent of each piece, in order; they sum to the axis.
        axis: the axis that is cut.
    """

    sizes: Shape
    axis: int = 1

    def infer(self, x: Spec) -> tuple[Spec, ...]:
        """(..., C, ...) -> (..., sizes[0], ...), (..., sizes[1], ...), ..."""
        axis = check_axis(self, self.axis, x)
        if sum(self.sizes) != x.shape[axis] or any(size < 1 for size in self.sizes):
            raise ShapeError(
                f"{self.name}: pieces of {self.sizes} along axis {axis} of {x}; expected positive extents that sum to "
                f"{x.shape[axis]}."
            )
        return tuple(Spec((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype) for size in self.sizes)

    def forward(self, x: Array) -> tuple[Array, ...]:
        """The pieces."""
        cuts = np.cumsum(self.sizes)[:-1]
        return tuple(np.ascontiguousarray(piece) for piece in np.split(x, cuts, axis=self.axis))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """The pieces' gradients joined."""
        return np.concatenate(grads, axis=self.axis)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing."""
        return (), ()


@dataclasses.dataclass(frozen=True)
class Fill(Op):
    """An array of one number, made from nothing: the gradient that a loss starts with, or a gradient that is zero.

    Args:
        shape: the shape.
        dtype: name of the element type.
        value: the number.
    """

    shape: Shape
    dtype: str
    value: float = 0.0

    def infer(self) -> Spec:
        """No input -> the shape."""
        spec = Spec(self.shape, np.dtype(self.dtype))
        check_float(self, spec)
        return spec

    def forward(self) -> Array:
        """The number, everywhere."""
        return np.full(self.shape, self.value, self.dtype)


@dataclasses.dataclass(frozen=True)
class Reorder(Op):
    """The same values in another order in memory: a pass writes it into a program, see `mocha.graph.passes.layout`.

    Args:
        is_view: both orders are the same bytes, nothing moves.
    """

    is_view: bool = False  # type: ignore[misc]

    def infer(self, x: Spec) -> Spec:
        """Any shape, kept."""
        return x

    def forward(self, x: Array) -> Array:
        """To everybody outside a backend, the input itself."""
        return x

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """None."""
        return 0


@dataclasses.dataclass(frozen=True)
class Recast(Op):
    """The same values in numbers of another width: `mocha.graph.passes.storage` writes it into a program."""

    def infer(self, x: Spec) -> Spec:
        """Any shape, kept."""
        return x

    def forward(self, x: Array) -> Array:
        """To everybody outside a backend, the input itself."""
        return x

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """None."""
        return 0
