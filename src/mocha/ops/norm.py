"""Local response normalisation: an element is held to the squares of its neighbours."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_float

Indices = tuple[Sequence[int], Sequence[int]]


@dataclasses.dataclass(frozen=True)
class LRN(Op):
    """y = x s^-beta, s = k + alpha * the mean of x^2 over a window around the element; s is the second output.

    Shapes: x (N, C, H, W) -> y and s of the same. The window reaches over `size` channels, from (size - 1) // 2 before
    to size // 2 behind, or over size x size cells of the same channel with the element in the middle.

    Borders: what lies outside counts as 0, and the mean is always over size, or size^2, numbers.

    Gradient, with c = 2 alpha beta / (numbers of a window): dx = dy s^-beta - c x * the sum of dy y / s over all
    elements whose window holds this one. (Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep
    convolutional neural networks", NIPS 2012; alpha is divided by the size of the window, as in Caffe and Mocha.)

    Args:
        size: extent of the window, >= 1; odd within a channel.
        alpha: weight of the mean of squares.
        beta: the exponent.
        k: what is added; s must be positive, so a positive k and an alpha >= 0 are safe.
        across: over neighbouring channels; otherwise over neighbouring cells within a channel.
    """

    size: int = 5
    alpha: float = 1.0
    beta: float = 0.75
    k: float = 1.0
    across: bool = True
    n_aux: ClassVar[int] = 1

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        """(N, C, H, W) -> the same twice."""
        check_float(self, x)
        if x.ndim != 4:
            raise ShapeError(f"{self.name}: the input is {x}; expected four axes, (N, C, H, W).")
        if self.size < 1 or (not self.across and self.size % 2 == 0):
            expected = ">= 1" if self.across else "odd, for a window within a channel has its element in the middle"
            raise ShapeError(f"{self.name}: the size of the window is {self.size}; expected it to be {expected}.")
        return x, x

    @property
    def count(self) -> int:
        """The numbers that a mean is over."""
        return self.size if self.across else self.size**2

    def _sums(self, a: Array, before: int) -> Array:
        """The sum over the window of each element, which begins so many places before it."""
        around = (before, self.size - 1 - before)
        for axis in (1,) if self.across else (2, 3):
            n = a.shape[axis]
            padded = np.moveaxis(np.pad(a, [around if i == axis else (0, 0) for i in range(4)]), axis, 0)
            total = padded[:n].copy()
            for tap in range(1, self.size):
                total += padded[tap : tap + n]
            a = np.moveaxis(total, 0, axis)
        return np.ascontiguousarray(a)

    def forward(self, x: Array) -> tuple[Array, Array]:
        """The sums of squares, then the power."""
        number = x.dtype.type
        with np.errstate(all="ignore"):
            s = number(self.k) + number(self.alpha / self.count) * self._sums(x * x, (self.size - 1) // 2)
            return x * s ** number(-self.beta), s

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """The windows that hold an element are those of a mirrored window around it."""
        dy, x, s = grads[0], inputs[0], outputs[1]
        number = x.dtype.type
        with np.errstate(all="ignore"):
            direct = dy * s ** number(-self.beta)
            sums = self._sums(direct * x / s, self.size // 2)
            return np.asarray(direct - number(2 * self.alpha * self.beta / self.count) * x * sums)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The input and s."""
        return (0,), (1,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A square, an addition a tap, a product and a sum, the power, and a product."""
        return (5 + self.count) * inputs[0].size
