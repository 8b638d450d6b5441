"""Classes as numbers and as distributions: the places of the largest elements, and the way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_axis, check_float
from mocha.ops.labels import class_numbers


def _check_places(op: Op, x: Spec, axis: int) -> None:
    """The places along an axis must be numbers that the input's type holds exactly.

    Raises:
        ShapeError: they are not.
    """
    most = 2 ** (np.finfo(x.dtype).nmant + 1)
    if x.shape[axis] - 1 > most:
        raise ShapeError(
            f"{op.name}: axis {axis} of {x} is too long for places in {x.dtype}; expected at most {most + 1} elements."
        )


@dataclasses.dataclass(frozen=True)
class Argmax(Op):
    """The place of the largest element along an axis, from 0, in the type of the input. No gradient.

    Shapes: x (..., C, ...), C >= 1 -> (..., 1, ...). Of equal elements the first counts; the first NaN counts as the
    largest. In float32 there may be 2^24 + 1 elements, whose places it holds exactly.

    Args:
        axis: the axis.
    """

    axis: int = 1

    def infer(self, x: Spec) -> Spec:
        """(..., C, ...) -> (..., 1, ...)."""
        check_float(self, x)
        axis = check_axis(self, self.axis, x)
        if x.shape[axis] == 0:
            raise ShapeError(f"{self.name}: axis {axis} of {x} has no elements; expected at least one.")
        _check_places(self, x, axis)
        return Spec((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)

    def forward(self, x: Array) -> Array:
        """Whole numbers as floating-point ones."""
        return x.argmax(axis=self.axis, keepdims=True).astype(x.dtype)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """One comparison an element."""
        return inputs[0].size


@dataclasses.dataclass(frozen=True)
class TopK(Op):
    """The k largest elements along an axis, the largest first, and as a second output their places, from 0.

    Shapes: x (..., C, ...), C >= k -> y and places (..., k, ...), both in the type of x. Of equal elements the one with
    the larger place comes first (where `Argmax` takes the smaller); NaN counts as larger than all numbers. The gradient
    goes back to the places, the rest gets 0; the places have none. In float32 an axis may have 2^24 + 1 elements, as
    for `Argmax`.

    Args:
        k: how many, >= 1.
        axis: the axis.
    """

    k: int = 1
    axis: int = 1
    n_aux: ClassVar[int] = 1

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        """(..., C, ...) -> (..., k, ...) twice."""
        check_float(self, x)
        axis = check_axis(self, self.axis, x)
        if not 1 <= self.k <= x.shape[axis]:
            raise ShapeError(
                f"{self.name}: k is {self.k} for axis {axis} of {x}; expected 1 to {x.shape[axis]}, the elements that "
                "it has."
            )
        _check_places(self, x, axis)
        y = Spec((*x.shape[:axis], self.k, *x.shape[axis + 1 :]), x.dtype)
        return y, y

    def forward(self, x: Array) -> tuple[Array, Array]:
        """The end of a stable sort, turned round."""
        order = np.argsort(x, axis=self.axis, kind="stable")
        places = np.flip(np.take(order, range(-self.k, 0), axis=self.axis), axis=self.axis)
        return np.take_along_axis(x, places, axis=self.axis), places.astype(x.dtype)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Each gradient to its place."""
        dx = np.zeros(inputs[0].shape, grads[0].dtype)
        np.put_along_axis(dx, outputs[1].astype(np.int64), grads[0], axis=self.axis)
        return dx

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The places."""
        return (), (1,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """One comparison an element at least."""
        return inputs[0].size


@dataclasses.dataclass(frozen=True)
class OneHot(Op):
    """A number becomes as many as there are classes: 1 at its place and 0 else. No gradient.

    Shapes: x (..., 1, ...) of whole numbers from 0 to classes - 1 -> (..., classes, ...) of the same type.

    Args:
        classes: how many, >= 1.
        axis: the axis of the classes.
    """

    classes: int
    axis: int = 1

    def infer(self, x: Spec) -> Spec:
        """(..., 1, ...) -> (..., classes, ...)."""
        check_float(self, x)
        axis = check_axis(self, self.axis, x)
        if x.shape[axis] != 1:
            raise ShapeError(f"{self.name}: axis {axis} of {x} is {x.shape[axis]} long; expected 1, one class number.")
        return Spec((*x.shape[:axis], self.classes, *x.shape[axis + 1 :]), x.dtype)

    def forward(self, x: Array) -> Array:
        """One comparison an element.

        Raises:
            FormatError: a number is no class's.
        """
        numbers = np.moveaxis(class_numbers(x, self.classes), self.axis, -1)
        return np.moveaxis((numbers == np.arange(self.classes)).astype(x.dtype), -1, self.axis)
