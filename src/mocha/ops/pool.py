"""Pooling: the maximum or the mean of windows over the last axes of a blob."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Shape, Spec, check_float, check_ranks
from mocha.ops.windows import Windows

EMPTY_MAX = float(np.finfo(np.float32).min)
"""The maximum of a window without a cell, in float64 too: -3.4028235e38."""


@dataclasses.dataclass(frozen=True)
class _Pooling(Op):
    """What both poolings share: geometry and sizes, as in Caffe.

    Shapes: x (N, C, *size) -> y (N, C, *out), with per axis ``out = round((size + 2 pad - kernel) / stride) + 1``,
    rounded up (`ceil`, Caffe's default) or down. If any pad is not 0, an axis on which the last window would start in
    the trailing padding, ``(out - 1) stride >= size + pad``, loses that window.

    Borders: a window is clipped to the image. One that holds no cell at all, as a stride larger than the kernel can
    make the last one, passes no gradient.

    Args:
        kernel: extent of the window, one number an axis, >= 1.
        stride: step of the window, one number an axis, >= 1.
        pad: cells added before and after each axis, 0 <= pad < kernel.
        ceil: round the number of windows up, so that the last cells are covered.
    """

    kernel: Shape
    stride: Shape = (1, 1)
    pad: Shape = (0, 0)
    ceil: bool = True

    def __post_init__(self) -> None:
        check_ranks(self, self.kernel, self.stride, self.pad)

    def windows(self, shape: Shape) -> Windows:
        """The geometry on an input of this shape."""
        return Windows.of(self.name, shape, self.kernel, self.stride, self.pad, self.ceil)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """One operation a tap."""
        return outputs[0].size * math.prod(self.kernel)


@dataclasses.dataclass(frozen=True)
class MaxPooling(_Pooling):
    """The maximum of each window, and as a second output the number of the tap that won (row-major in the window).

    Ties: the first maximum in row-major order wins, and the gradient goes to it alone; where windows overlap, a cell
    sums what it gets. NaN: a window that holds a NaN gives NaN, and the last NaN of the window wins. (In Caffe a NaN
    never wins, and a window of nothing else gives -3.4028235e38, as does one of -infinity.)

    A window without a cell gives `EMPTY_MAX`, as in Caffe.
    """

    n_aux = 1

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        """(N, C, *size) -> (N, C, *out) twice: the maxima, and the winners as uint8, or int32 for a large kernel."""
        check_float(self, x)
        g = self.windows(x.shape)
        shape = g.shaped(x.shape)
        return Spec(shape, x.dtype), Spec(shape, g.tap_type)

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Walk over the taps, keeping the best so far and its number."""
        g = self.windows(x.shape)
        canvas = g.padded(x, -np.inf)
        # the walk starts at the first tap inside the image, so that a window of -inf has a winner too
        y = np.full(g.shaped(x.shape), -np.inf, x.dtype)
        winner = np.broadcast_to(g.end_taps(last=False), y.shape).astype(g.tap_type)
        for number, cells in g.taps():
            candidate = canvas[cells]
            better = (candidate > y) | np.isnan(candidate)
            np.copyto(y, candidate, where=better)
            np.copyto(winner, g.tap_type.type(number), where=better)
        np.copyto(y, EMPTY_MAX, where=g.empty())
        return y, winner

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Each window's gradient goes to its winner."""
        return self.windows(inputs[0].shape).at_winner(outputs[1], grads[0])

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The winners alone."""
        return (), (1,)


@dataclasses.dataclass(frozen=True)
class WinnerPlaces(Op):
    """Where the maxima of `MaxPooling` come from: the number of the winner's cell in its image, row-major. No gradient.

    Shapes: x (N, C, *size), and the winners (N, C, *out) of its pooling -> (N, C, *out), of x's type. In an image of
    two axes it is h W + w; a window without a cell has -1. This is the mask that Caffe's pooling has as a second top.

    Args:
        pooling: the pooling that gave the winners.
    """

    pooling: MaxPooling

    def infer(self, x: Spec, winners: Spec) -> Spec:
        """(N, C, *size), (N, C, *out) -> (N, C, *out)."""
        y, expected = self.pooling.infer(x)
        if winners != expected:
            raise ShapeError(f"{self.name}: the winners are {winners}; expected {expected}, the pooling's own.")
        return y

    def forward(self, x: Array, winners: Array) -> Array:
        """The tap on each axis, counted from where the window starts."""
        g = self.pooling.windows(x.shape)
        places = np.zeros(winners.shape, np.int64)
        starts = g.combined([g.starts(axis) for axis in range(len(g.out))])
        for taps, start, n in zip(np.unravel_index(winners, g.kernel), starts, g.size, strict=True):
            places = places * n + start + taps
        return np.where(g.empty(), -1, places).astype(x.dtype)


@dataclasses.dataclass(frozen=True)
class MeanPooling(_Pooling):
    """The mean of each window, with Caffe's divisor.

    The divisor is the number of cells of the window that lie in the image or its padding: per axis
    ``min(start + kernel, size + pad) - start`` with ``start = i stride - pad``. Padding counts as zeros; the part of a
    window that hangs over the padded image does not count. A window without a cell gives 0. (Caffe divides by a number
    that is not positive there, and gives 0 or NaN.)
    """

    def infer(self, x: Spec) -> Spec:
        """(N, C, *size) -> (N, C, *out)."""
        check_float(self, x)
        return Spec(self.windows(x.shape).shaped(x.shape), x.dtype)

    def _divisor(self, g: Windows, dtype: np.dtype[np.generic]) -> Array:
        """Cells of each window, infinite for an empty one, so that a quotient by it is 0."""
        cells = []
        for axis, n in enumerate(g.size):
            start = g.starts(axis)
            cells.append(np.minimum(start + g.kernel[axis], n + g.pad[axis]) - start)
        divisor = np.array(1.0)
        for count in g.combined(cells):
            divisor = divisor * count
        return np.where(g.empty(), np.inf, divisor).astype(dtype)

    def forward(self, x: Array) -> Array:
        """The sum over the taps, divided."""
        g = self.windows(x.shape)
        canvas = g.padded(x, 0.0)
        y = np.zeros(g.shaped(x.shape), x.dtype)
        for _, cells in g.taps():
            y += canvas[cells]
        return np.asarray(y / self._divisor(g, x.dtype))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Each cell of a window gets the same share."""
        g = self.windows(inputs[0].shape)
        share = grads[0] / self._divisor(g, grads[0].dtype)
        dx = np.zeros((*share.shape[: share.ndim - len(g.size)], *g.extent), share.dtype)
        for _, cells in g.taps():
            dx[cells] += share
        return np.ascontiguousarray(dx[g.inner])

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """Nothing but shapes."""
        return (), ()
