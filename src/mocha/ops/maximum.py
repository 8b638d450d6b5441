"""The largest of several inputs, element by element."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_float, check_same
from mocha.ops.pointwise import Indices

_MOST = 256
"""As many inputs as a byte can tell apart."""


@dataclasses.dataclass(frozen=True)
class Maximum(Op):
    """The largest element of 1 to 256 inputs of one shape, and as a second output the winner's number, uint8.

    Ties: of the first two inputs the second wins, and a later one must be larger than all before it. The gradient goes
    to the winner alone; the others get 0.

    NaN: the first input loses to the second if either is NaN. A later one that is NaN loses; one that comes behind a
    NaN that has won so far loses too.
    """

    n_aux: ClassVar[int] = 1
    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, *inputs: Spec) -> tuple[Spec, Spec]:
        """Equal shapes, kept, and the same of uint8."""
        if not 1 <= len(inputs) <= _MOST:
            raise ShapeError(f"{self.name}: received {len(inputs)} inputs; expected 1 to {_MOST}.")
        check_float(self, inputs[0])
        check_same(self, *inputs)
        return inputs[0], Spec(inputs[0].shape, np.dtype(np.uint8))

    def forward(self, *inputs: Array) -> tuple[Array, Array]:
        """One input after the other against the largest so far."""
        y, winner = inputs[0].copy(), np.zeros(inputs[0].shape, np.uint8)
        for number, x in enumerate(inputs[1:], start=1):
            wins = ~(y > x) if number == 1 else x > y
            y, winner = np.where(wins, x, y), np.where(wins, np.uint8(number), winner)
        return y, winner

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Pass where the input has won."""
        dy, winner = grads[0], outputs[1]
        none = dy.dtype.type(0)
        return [np.where(winner == number, dy, none) if want else None for number, want in enumerate(wanted)]

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The winners alone."""
        return (), (1,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """One comparison an element of each input but one."""
        return (len(inputs) - 1) * outputs[0].size
