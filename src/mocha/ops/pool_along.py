"""Pooling along one axis: windows over channels, say."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_axis, check_float

Indices = tuple[Sequence[int], Sequence[int]]


@dataclasses.dataclass(frozen=True)
class _PoolingAlong(Op):
    """What both poolings along an axis share: geometry and sizes.

    Shapes: x (..., C, ...) -> y (..., out, ...), with ``out = ceil((C + front + back - kernel) / stride) + 1``, less
    one if the last window would start in the padding behind, ``(out - 1) stride >= C + front``. Window i reaches over
    the elements from ``i stride - front`` on, and is clipped to the axis; it holds one element at least.

    Args:
        kernel: extent of the window, >= 1.
        stride: step of the window, >= 1.
        pad: (front, back), elements added before and behind, each smaller than the kernel.
        axis: the axis.
    """

    kernel: int
    stride: int = 1
    pad: tuple[int, int] = (0, 0)
    axis: int = 1

    def out(self, extent: int) -> int:
        """The number of windows on an axis.

        Raises:
            ShapeError: no window fits, or one could hold nothing but padding.
        """
        front, back = self.pad
        span = extent + front + back - self.kernel
        if span < 0 or extent == 0 or max(self.pad) >= self.kernel:
            raise ShapeError(
                f"{self.name}: a window of {self.kernel} with padding {self.pad} on an axis of {extent}; expected a "
                "padding smaller than the window, and a window that fits into the padded axis."
            )
        count = -(-span // self.stride) + 1
        return count - ((count - 1) * self.stride >= extent + front)

    def shaped(self, x: Spec) -> Spec:
        """(..., C, ...) -> (..., out, ...)."""
        check_float(self, x)
        axis = check_axis(self, self.axis, x)
        return Spec((*x.shape[:axis], self.out(x.shape[axis]), *x.shape[axis + 1 :]), x.dtype)

    def around(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """The shape as (outer, C, inner)."""
        axis = self.axis % len(shape)
        return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])

    def windows(self, extent: int) -> Iterator[tuple[int, slice]]:
        """The number of each window, and the elements that it holds."""
        for i in range(self.out(extent)):
            start = i * self.stride - self.pad[0]
            yield i, slice(max(start, 0), min(start + self.kernel, extent))

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """One operation a tap."""
        return outputs[0].size * self.kernel


@dataclasses.dataclass(frozen=True)
class MaxPoolingAlong(_PoolingAlong):
    """The maximum of each window, and as a second output the place of the winner on the axis, int32.

    Ties: the first maximum wins, and the gradient goes to it alone; where windows overlap, an element sums what it
    gets. NaN: a window that holds a NaN gives NaN, and the first NaN of the window wins.
    """

    n_aux = 1

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        """(..., C, ...) -> (..., out, ...) twice."""
        y = self.shaped(x)
        return y, Spec(y.shape, np.dtype(np.int32))

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Window by window."""
        shape = self.shaped(Spec.of(x)).shape
        cells = x.reshape(self.around(x.shape))
        y, winner = np.empty(self.around(shape), x.dtype), np.empty(self.around(shape), np.int32)
        for i, window in self.windows(cells.shape[1]):
            place = cells[:, window].argmax(axis=1)
            winner[:, i] = place + window.start
            y[:, i] = np.take_along_axis(cells[:, window], place[:, None], axis=1)[:, 0]
        return y.reshape(shape), winner.reshape(shape)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Each window's gradient goes to its winner."""
        outer, _, inner = around = self.around(inputs[0].shape)
        dy, winner = (a.reshape(self.around(a.shape)) for a in (grads[0], outputs[1]))
        dx = np.zeros(around, dy.dtype)
        rows, columns = np.arange(outer)[:, None], np.arange(inner)
        for i in range(dy.shape[1]):
            dx[rows, winner[:, i], columns] += dy[:, i]
        return dx.reshape(inputs[0].shape)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The winners alone."""
        return (), (1,)


@dataclasses.dataclass(frozen=True)
class MeanPoolingAlong(_PoolingAlong):
    """The sum of each window over the kernel's extent: padding, and what hangs over the axis, count as zeros."""

    def infer(self, x: Spec) -> Spec:
        """(..., C, ...) -> (..., out, ...)."""
        return self.shaped(x)

    def forward(self, x: Array) -> Array:
        """Window by window, each added up in order."""
        shape = self.shaped(Spec.of(x)).shape
        cells, y = x.reshape(self.around(x.shape)), np.zeros(self.around(shape), x.dtype)
        for i, window in self.windows(cells.shape[1]):
            for c in range(window.start, window.stop):
                y[:, i] += cells[:, c]
        return np.asarray(y / x.dtype.type(self.kernel)).reshape(shape)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Each element of a window gets the same share."""
        share = grads[0].reshape(self.around(grads[0].shape)) / grads[0].dtype.type(self.kernel)
        dx = np.zeros(self.around(inputs[0].shape), share.dtype)
        for i, window in self.windows(dx.shape[1]):
            dx[:, window] += share[:, i : i + 1]
        return dx.reshape(inputs[0].shape)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing but shapes."""
        return (), ()
