"""Stochastic pooling: each window gives one of its elements, drawn with a probability in proportion to its size.

Zeiler and Fergus, "Stochastic pooling for regularization of deep convolutional neural networks", ICLR 2013.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Shape, Spec, check_float, check_ranks
from mocha.ops.windows import Windows
from mocha.random import words

Indices = tuple[Sequence[int], Sequence[int]]


@dataclasses.dataclass(frozen=True)
class _StochasticPooling(Op):
    """What both ways share: windows without padding, clipped to the image.

    Shapes: x (N, C, *size) -> y (N, C, *out), with per axis ``out = round((size - kernel) / stride) + 1``, rounded up
    (`ceil`, Caffe's default) or down. A window that holds no cell at all, as a stride larger than the kernel can make
    the last one, gives 0 and passes no gradient. The elements are meant to be >= 0, as behind a ReLU.

    Args:
        kernel: extent of the window, one number an axis, >= 1.
        stride: step of the window, one number an axis, >= 1.
        ceil: round the number of windows up, so that the last cells are covered.
    """

    kernel: Shape
    stride: Shape = (1, 1)
    ceil: bool = True

    def __post_init__(self) -> None:
        check_ranks(self, self.kernel, self.stride)

    def windows(self, shape: Shape) -> Windows:
        """The geometry on an input of this shape."""
        return Windows.of(self.name, shape, self.kernel, self.stride, (0,) * len(self.kernel), self.ceil)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The values, not seed and counter."""
        return (0,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Four operations a tap."""
        return 4 * outputs[0].size * math.prod(self.kernel)


@dataclasses.dataclass(frozen=True)
class StochasticPooling(_StochasticPooling):
    """One element of each window, drawn; for training. The second output is the number of its tap in the window.

    Further inputs: seed () and counter () float64. Word w of the stream at `counter` whose place is that of the window
    in row-major order makes ``r = (w + 1) / 2^32``, in (0, 1] and of x's type. The window's elements are added up in
    row-major order; the first with which the sum reaches ``r`` times the whole sum is taken: of zeros the first. Where
    none reaches it, for a NaN is among them, it is the last. The gradient goes to the element that was taken.

    Args:
        stream: which random stream.
    """

    stream: int = 0
    n_aux = 1

    def infer(self, x: Spec, seed: Spec, counter: Spec) -> tuple[Spec, Spec]:
        """(N, C, *size) -> (N, C, *out) twice: what was taken, and its tap as uint8, or int32 for a large kernel."""
        check_float(self, x)
        if seed.size != 1 or counter.size != 1:
            raise ShapeError(f"{self.name}: seed {seed} and counter {counter}; expected two scalars.")
        g = self.windows(x.shape)
        return Spec(g.shaped(x.shape), x.dtype), Spec(g.shaped(x.shape), g.tap_type)

    def forward(self, x: Array, seed: Array, counter: Array) -> tuple[Array, Array]:
        """Twice over the taps: for the whole sums, and until they are reached."""
        g = self.windows(x.shape)
        canvas, shape = g.padded(x, 0.0), g.shaped(x.shape)
        whole = np.zeros(shape, x.dtype)
        for _, cells in g.taps():
            whole += canvas[cells]
        drawn = words(int(seed), self.stream, int(counter), whole.size).reshape(shape)
        r = ((drawn.astype(np.float64) + 1) * 2.0**-32).astype(x.dtype)
        limit, running = r * whole, np.zeros(shape, x.dtype)
        winner = np.broadcast_to(g.end_taps(last=True), shape).astype(g.tap_type)
        searching, y = np.ones(shape, np.bool_), np.zeros(shape, x.dtype)
        for number, cells in g.taps():
            running += canvas[cells]
            winner[searching & (running >= limit)] = number
            searching &= ~(running >= limit)
            np.copyto(y, canvas[cells], where=winner == number)
        np.copyto(y, 0, where=g.empty())
        return y, winner

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Each window's gradient goes to what was taken."""
        return self.windows(inputs[0].shape).at_winner(outputs[1], grads[0]), None, None

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The winners alone."""
        return (), (1,)


@dataclasses.dataclass(frozen=True)
class StochasticPoolingMean(_StochasticPooling):
    """The mean of what `StochasticPooling` draws, sum x^2 / sum x; for testing. The second output is sum x.

    Where sum x <= 0 the result is 0, and passes no gradient. Else dx = dy (2 x - y) / sum x, summed over windows.
    """

    n_aux = 1

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        """(N, C, *size) -> (N, C, *out) twice: the means, and the sums."""
        check_float(self, x)
        y = Spec(self.windows(x.shape).shaped(x.shape), x.dtype)
        return y, y

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Both sums over the taps, divided."""
        g = self.windows(x.shape)
        canvas, shape = g.padded(x, 0.0), g.shaped(x.shape)
        total, squares = np.zeros(shape, x.dtype), np.zeros(shape, x.dtype)
        for _, cells in g.taps():
            total += canvas[cells]
            squares += canvas[cells] * canvas[cells]
        none = total <= 0
        return np.where(none, 0, squares / np.where(none, 1, total)), total

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Tap by tap."""
        (x,), (y, total) = inputs, outputs
        g = self.windows(x.shape)
        canvas, none = g.padded(x, 0.0), total <= 0
        share = np.where(none, 0, grads[0] / np.where(none, 1, total))
        dx = np.zeros(canvas.shape, x.dtype)
        for _, cells in g.taps():
            dx[cells] += np.where(none, 0, share * (2 * canvas[cells] - y))
        return np.ascontiguousarray(dx[g.inner])

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Everything."""
        return (0,), (0, 1)
