"""The inner product: every output a weighted sum of all inputs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_axis, check_float


@dataclasses.dataclass(frozen=True)
class InnerProduct(Op):
    """y = x w^T, with the axes of x from `axis` on folded into one.

    Shapes: x (N, ...) of D elements an example, w (K, D) -> y (N, K). With `axis` = a, the first a axes of x stay:
    (A1, ..., Aa, ...) -> (A1, ..., Aa, K). The fold is row-major.

    Args:
        axis: first axis folded into the sum, >= 1 (negative counts from the end).
    """

    axis: int = 1

    def infer(self, x: Spec, w: Spec) -> Spec:
        """(N, ...), (K, D) -> (N, K)."""
        check_float(self, x)
        axis = check_axis(self, self.axis, x) if x.ndim > 1 else 1
        features = math.prod(x.shape[axis:])
        if w.ndim != 2 or w.shape[1] != features or w.dtype != x.dtype:
            raise ShapeError(
                f"{self.name}: the input {x} has {features} features from axis {axis} on, but the weight is {w}; "
                "expected "
                f"(outputs, {features}) of {x.dtype}."
            )
        return Spec((*x.shape[:axis], w.shape[0]), x.dtype)

    def forward(self, x: Array, w: Array) -> Array:
        """One matrix product."""
        lead = x.shape[: self.axis]
        y: Array = x.reshape(math.prod(lead), w.shape[1]) @ w.T
        return y.reshape(*lead, w.shape[0])

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """dx = dy w; dw = dy^T x."""
        x, w = inputs
        rows = math.prod(x.shape[: self.axis])
        dy = grads[0].reshape(rows, w.shape[0])
        dx = (dy @ w).reshape(x.shape) if wanted[0] else None
        dw = dy.T @ x.reshape(rows, w.shape[1]) if wanted[1] else None
        return dx, dw

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The gradients need the input and the weight, not the output."""
        return (0, 1), ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Two operations an output and a feature."""
        return 2 * outputs[0].size * inputs[1].shape[1]


@dataclasses.dataclass(frozen=True)
class TransposedInnerProduct(Op):
    """y = x w: an inner product with a weight that lies the other way round, as that of an encoder does to its decoder.

    Shapes: x (N, ...) of D elements an example, w (D, K) -> y (N, K). dx = dy w^T, dw = x^T dy.
    """

    def infer(self, x: Spec, w: Spec) -> Spec:
        """(N, ...), (D, K) -> (N, K)."""
        check_float(self, x)
        features = math.prod(x.shape[1:])
        if x.ndim == 0 or w.ndim != 2 or w.shape[0] != features or w.dtype != x.dtype:
            raise ShapeError(
                f"{self.name}: the input {x} has {features} features, but the weight is {w}; expected ({features}, "
                f"outputs) of {x.dtype}."
            )
        return Spec((x.shape[0], w.shape[1]), x.dtype)

    def forward(self, x: Array, w: Array) -> Array:
        """One matrix product."""
        y: Array = x.reshape(x.shape[0], w.shape[0]) @ w
        return y

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """dx = dy w^T; dw = x^T dy."""
        (x, w), dy = inputs, grads[0]
        dx = (dy @ w.T).reshape(x.shape) if wanted[0] else None
        dw = x.reshape(x.shape[0], w.shape[0]).T @ dy if wanted[1] else None
        return dx, dw

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The gradients need the input and the weight, not the output."""
        return (0, 1), ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Two operations an output and a feature."""
        return 2 * outputs[0].size * inputs[1].shape[0]
