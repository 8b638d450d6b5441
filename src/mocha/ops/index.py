"""Classes as numbers and as distributions: the place of the largest element, and the way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_axis, check_float
from mocha.ops.loss import class_numbers


@dataclasses.dataclass(frozen=True)
class Argmax(Op):
    """The place of the largest element along an axis, from 0, in the type of the input. No gradient.

    Shapes: x (..., C, ...), C >= 1 -> (..., 1, ...). Of equal elements the first counts; the first NaN counts as the
    largest.

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
        return Spec((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)

    def forward(self, x: Array) -> Array:
        """Whole numbers as floating-point ones."""
        return x.argmax(axis=self.axis, keepdims=True).astype(x.dtype)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """One comparison an element."""
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
