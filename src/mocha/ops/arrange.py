"""The same elements in other places: repeated, cut out of a box, or with the axes in another order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Shape, Spec, check_axis
from mocha.ops.pointwise import Indices


@dataclasses.dataclass(frozen=True)
class Tile(Op):
    """The input repeated as a whole along an axis: a, b, c becomes a, b, c, a, b, c. The gradient sums the copies.

    Shapes: x (..., C, ...) -> (..., tiles C, ...).

    Args:
        axis: the axis that grows.
        tiles: how many times the input is there, >= 1.
    """

    axis: int = 1
    tiles: int = 1

    def infer(self, x: Spec) -> Spec:
        """(..., C, ...) -> (..., tiles C, ...)."""
        axis = check_axis(self, self.axis, x)
        if self.tiles < 1:
            raise ShapeError(f"{self.name}: tiles is {self.tiles}; expected a whole number >= 1.")
        return Spec((*x.shape[:axis], self.tiles * x.shape[axis], *x.shape[axis + 1 :]), x.dtype)

    def forward(self, x: Array) -> Array:
        """One copy behind the other."""
        return np.concatenate([x] * self.tiles, axis=self.axis)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """The copies' gradients, added up from the first to the last."""
        first, *others = np.split(grads[0], self.tiles, axis=self.axis)
        dx = first.copy()
        for other in others:
            dx += other
        return dx

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing."""
        return (), ()


@dataclasses.dataclass(frozen=True)
class Window(Op):
    """A box cut out of the input. The gradient goes back to where the box was; the rest gets 0.

    Shapes: x -> sizes, of as many axes: y[i, j, ...] = x[starts[0] + i, starts[1] + j, ...].

    Args:
        starts: where the box begins on each axis, >= 0.
        sizes: its extent on each axis, >= 0; starts + sizes lies within the input.
    """

    starts: Shape
    sizes: Shape

    def infer(self, x: Spec) -> Spec:
        """The sizes."""
        if not len(self.starts) == len(self.sizes) == x.ndim:
            raise ShapeError(
                f"{self.name}: {len(self.starts)} starts and {len(self.sizes)} sizes for an input of {x}; expected "
                f"{x.ndim} of each, one an axis."
            )
        for axis, (start, size, extent) in enumerate(zip(self.starts, self.sizes, x.shape, strict=True)):
            if start < 0 or size < 0 or start + size > extent:
                raise ShapeError(
                    f"{self.name}: {size} elements from {start} on along axis {axis} of {x}; expected them to lie "
                    f"between 0 and {extent}."
                )
        return Spec(self.sizes, x.dtype)

    @property
    def box(self) -> tuple[slice, ...]:
        """The box, as what an array is indexed with."""
        return tuple(slice(start, start + size) for start, size in zip(self.starts, self.sizes, strict=True))

    def forward(self, x: Array) -> Array:
        """A copy of the box."""
        return np.array(x[self.box])

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """The box among zeros."""
        dx = np.zeros(inputs[0].shape, grads[0].dtype)
        dx[self.box] = grads[0]
        return dx

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing but the shape."""
        return (), ()


@dataclasses.dataclass(frozen=True)
class Transpose(Op):
    """The axes in another order: axis i of the output is axis order[i] of the input.

    Shapes: x (n0, n1, ...) -> (n_order[0], n_order[1], ...); the order (0, 2, 3, 1) makes (N, H, W, C) of (N, C, H, W).

    Args:
        order: each axis of the input once, counted from the front.
    """

    order: Shape

    def infer(self, x: Spec) -> Spec:
        """The extents in that order."""
        if sorted(self.order) != list(range(x.ndim)):
            raise ShapeError(
                f"{self.name}: the order {self.order} for an input of {x}; expected each number from 0 to "
                f"{x.ndim - 1} once."
            )
        return Spec(tuple(x.shape[axis] for axis in self.order), x.dtype)

    @property
    def back(self) -> Shape:
        """The order that undoes this one."""
        return tuple(self.order.index(axis) for axis in range(len(self.order)))

    def forward(self, x: Array) -> Array:
        """A copy in row-major order."""
        return np.array(x.transpose(self.order), order="C")

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """The axes as they were."""
        return np.array(grads[0].transpose(self.back), order="C")

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing."""
        return (), ()

    def joined(self, shape: Shape) -> tuple[Shape, Shape]:
        """The same movement with as few axes as possible: the extents of the input, and the order.

        Axes of extent 1 go; axes that stay neighbours become one.
        """
        runs: list[list[int]] = []
        for axis in self.order:
            if shape[axis] == 1:
                continue
            before = runs[-1][-1] if runs else None
            # what lies between may be axes of extent 1 only
            if before is not None and before < axis and math.prod(shape[before + 1 : axis]) == 1:
                runs[-1].append(axis)
            else:
                runs.append([axis])
        lying = sorted(runs)
        extents = tuple(math.prod(shape[axis] for axis in run) for run in lying)
        return extents, tuple(lying.index(run) for run in runs)
