"""Ops that draw random numbers: the same ones on every backend, see `mocha.random`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_float
from mocha.random import words


@dataclasses.dataclass(frozen=True)
class Dropout(Op):
    """y = x keep scale, where keep is 0 with probability `ratio` and else 1; the second output is keep, as bytes.

    Shapes: x any, seed () and counter () float64 -> y like x, keep like x. The word that decides over element e (its
    place in row-major order) is word e of the stream at `counter`; the element stays if the word is at least
    ratio 2^32. The gradient gets the same mask and scale.

    Args:
        ratio: probability of dropping, 0 <= ratio < 1.
        scale: factor of what stays; 1 / (1 - ratio) keeps the expectation.
        stream: which random stream.
    """

    ratio: float
    scale: float
    stream: int
    n_aux = 1
    overwrites = ((0, 0),)

    def infer(self, x: Spec, seed: Spec, counter: Spec) -> tuple[Spec, Spec]:
        """Any shape, kept, twice: values and mask."""
        check_float(self, x)
        if seed.size != 1 or counter.size != 1:
            raise ShapeError(f"{self.name}: seed {seed} and counter {counter}; expected two scalars.")
        return x, Spec(x.shape, np.dtype(np.uint8))

    def forward(self, x: Array, seed: Array, counter: Array) -> tuple[Array, Array]:
        """Draw the mask, apply it."""
        drawn = words(int(seed), self.stream, int(counter), x.size)
        keep = (drawn >= np.uint32(min(round(self.ratio * 2**32), 2**32 - 1))).reshape(x.shape)
        return np.where(keep, x * x.dtype.type(self.scale), x.dtype.type(0)), keep.astype(np.uint8)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """The same mask on the gradient."""
        dy = grads[0]
        return np.where(outputs[1], dy * dy.dtype.type(self.scale), dy.dtype.type(0)), None, None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The mask alone."""
        return (), (1,)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The values, not seed and counter."""
        return (0,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """About 25 integer operations a random word, and the product."""
        return 26 * inputs[0].size
