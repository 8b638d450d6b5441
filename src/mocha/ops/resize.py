"""Images made larger or smaller: by interpolation, or by repeating pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_float

Indices = tuple[Sequence[int], Sequence[int]]


def _check_image(op: Op, x: Spec, *numbers: int) -> None:
    """The input must be images, none of them empty, and the op's numbers at least 1.

    Raises:
        ShapeError: they are not.
    """
    check_float(op, x)
    if x.ndim != 4 or min(x.shape[2:], default=0) < 1:
        raise ShapeError(f"{op.name}: the input is {x}; expected images (N, C, H, W) of at least one pixel.")
    if min(numbers) < 1:
        raise ShapeError(f"{op}: expected sizes and scales of at least 1.")


@dataclasses.dataclass(frozen=True)
class _Steps:
    """Interpolation along one axis: which two cells each place lies between, and how far from the lower one."""

    low: Array
    high: Array
    part: Array

    @classmethod
    def of(cls, size: int, out: int, dtype: np.dtype[np.generic]) -> _Steps:
        """Place i is at ``i (size - 1) / (out - 1)``: the ends meet. One place alone is at 0."""
        gaps = max(out - 1, 1)
        low, rest = np.divmod(np.arange(out, dtype=np.int64) * (size - 1), gaps)
        return cls(low, np.minimum(low + 1, size - 1), (rest / gaps).astype(dtype))

    def take(self, x: Array) -> Array:
        """Interpolated along the last axis."""
        return x[..., self.low] * (1 - self.part) + x[..., self.high] * self.part

    def give(self, dy: Array, size: int) -> Array:
        """The adjoint of `take`."""
        given = np.moveaxis(dy, -1, 0)
        part = self.part.reshape(-1, *[1] * (dy.ndim - 1))
        dx = np.zeros((size, *given.shape[1:]), dy.dtype)
        np.add.at(dx, self.low, given * (1 - part))
        np.add.at(dx, self.high, given * part)
        return np.ascontiguousarray(np.moveaxis(dx, 0, -1))


@dataclasses.dataclass(frozen=True)
class ResizeBilinear(Op):
    """Bilinear interpolation with the corners in place, as the layer Interp of DeepLab and PSPNet has it.

    Shapes: x (N, C, H, W), H and W >= 1 -> y (N, C, height, width). Row i of y lies at ``i (H - 1) / (height - 1)`` in
    x, at 0 if it is the only one, and columns likewise. y is the mean of the four pixels around, weighted by how near
    they are; beyond the last row or column it repeats. Images that become smaller are sampled, not averaged.

    Args:
        height: of the result, >= 1.
        width: of the result, >= 1.
    """

    height: int
    width: int

    def infer(self, x: Spec) -> Spec:
        """(N, C, H, W) -> (N, C, height, width)."""
        _check_image(self, x, self.height, self.width)
        return Spec((*x.shape[:2], self.height, self.width), x.dtype)

    def forward(self, x: Array) -> Array:
        """Along the rows, then along the columns."""
        down, across = self._steps(x)
        y = down.take(across.take(x).swapaxes(2, 3)).swapaxes(2, 3)
        return np.ascontiguousarray(y)

    def _steps(self, x: Array | Spec) -> tuple[_Steps, _Steps]:
        height, width = x.shape[2:]
        return _Steps.of(height, self.height, x.dtype), _Steps.of(width, self.width, x.dtype)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Each result gives its gradient to the four pixels, by the same weights."""
        down, across = self._steps(inputs[0])
        height, width = inputs[0].shape[2:]
        rows = down.give(grads[0].swapaxes(2, 3), height).swapaxes(2, 3)
        return across.give(rows, width)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing but shapes."""
        return (), ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Four products and three sums."""
        return 7 * outputs[0].size


@dataclasses.dataclass(frozen=True)
class UpsampleNearest(Op):
    """Each pixel becomes a block of equal ones.

    Shapes: x (N, C, H, W), H and W >= 1 -> y (N, C, scale_h H, scale_w W). The gradient is the sum of the block's.

    Args:
        scale_h: rows of a block, >= 1.
        scale_w: columns of a block, >= 1.
    """

    scale_h: int
    scale_w: int

    def infer(self, x: Spec) -> Spec:
        """(N, C, H, W) -> (N, C, scale_h H, scale_w W)."""
        _check_image(self, x, self.scale_h, self.scale_w)
        n, channels, height, width = x.shape
        return Spec((n, channels, height * self.scale_h, width * self.scale_w), x.dtype)

    def forward(self, x: Array) -> Array:
        """Rows, then columns."""
        return x.repeat(self.scale_h, axis=2).repeat(self.scale_w, axis=3)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Sums of blocks."""
        n, channels, height, width = inputs[0].shape
        return np.asarray(grads[0].reshape(n, channels, height, self.scale_h, width, self.scale_w).sum(axis=(3, 5)))

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing but shapes."""
        return (), ()
