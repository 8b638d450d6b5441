"""Windows of a blob, written out side by side."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mocha.ops.base import Array, Shape, Spec, check_ranks
from mocha.ops.sliding import Sliding


@dataclasses.dataclass(frozen=True)
class Unfold(Sliding):
    """What each tap of a sliding window sees, as a channel of its own: Caffe's Im2col.

    Shapes: x (N, C, *size) -> y (N, C T, *out) with T = prod(kernel), and per axis
    ``out = floor((size + 2 pad - (dilation (kernel - 1) + 1)) / stride) + 1``. Channel ``c T + t`` of y is what tap t,
    in row-major order, sees of channel c; so an inner product along the channels of y is a convolution.

    Borders: a tap in the padding sees 0. Positions that a stride leaves over at the end are not visited. The gradient
    of an element is the sum over all the taps that saw it.

    Args:
        kernel: extent of the window in taps, one number an axis, >= 1.
        stride: step of the window, one number an axis, >= 1.
        pad: zeros at each border, one number an axis, >= 0.
        dilation: distance of neighbouring taps, one number an axis, >= 1.
    """

    kernel: Shape
    stride: Shape = (1, 1)
    pad: Shape = (0, 0)
    dilation: Shape = (1, 1)

    def __post_init__(self) -> None:
        check_ranks(self, self.kernel, self.stride, self.pad, self.dilation)

    def infer(self, x: Spec) -> Spec:
        """(N, C, *size) -> (N, C T, *out)."""
        self.check_blob(x)
        return Spec(self._shape(x.shape), x.dtype)

    def _shape(self, x: Shape) -> Shape:
        return (x[0], x[1] * math.prod(self.kernel), *self.out_size(x[2:], self.kernel))

    def forward(self, x: Array) -> Array:
        """Cut the windows out."""
        n, channels, *out = self._shape(x.shape)
        columns = self.columns(x, self.kernel, tuple(out)).reshape(channels, *out, n)
        return np.ascontiguousarray(np.moveaxis(columns, -1, 0))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Add them back to where they were cut from."""
        dy = grads[0]
        return self.scatter(np.moveaxis(dy, 0, -1), inputs[0].shape, self.kernel, dy.shape[2:])

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """Nothing but shapes."""
        return (), ()
