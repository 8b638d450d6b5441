"""Pooling along one axis."""

from __future__ import annotations

from collections.abc import Sequence

from mocha import ops
from mocha.graph import Graph, Value
from mocha.layers.base import Layer, dimension, positive_int
from mocha.layers.computation import MaxPoolingFunction, MeanPoolingFunction, check_pooling


class ChannelPoolingLayer(Layer):
    """The maximum or the mean of each window over neighbouring channels, or along any other axis but the batch.

    Shapes: bottom (N, ..., C, ...) -> top (N, ..., C', ...), with C' = ceil((C + front + back - kernel) / stride) + 1,
    less one if the last window would start in the padding behind. The mean divides by the kernel always: padding, and
    what hangs over the axis, count as zeros.

    Args:
        kernel: channels of a window, >= 1.
        stride: step of the windows, >= 1.
        pad: (front, back), each smaller than the kernel.
        channel_dim: the axis, from 0 for the batch; not the batch.
        pooling: Pooling.Max() or Pooling.Mean().

    Examples:
        >>> layer = ChannelPoolingLayer(kernel=2, stride=2, bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[3, 1, 4, 1, 5, 9]])["y"]
        array([[3., 4., 9.]])
    """

    name: str = "channel-pooling"
    kernel: int = 1
    stride: int = 1
    pad: tuple[int, int] = (0, 0)
    channel_dim: int = 1
    pooling: MaxPoolingFunction | MeanPoolingFunction = MaxPoolingFunction()

    def check(self) -> None:
        """Property by property."""
        for field in ("kernel", "stride"):
            positive_int(self, field)
        pad = self.pad
        whole = isinstance(pad, (tuple, list)) and all(isinstance(p, int) and not isinstance(p, bool) for p in pad)
        if not whole or len(pad) != 2 or not all(0 <= p < self.kernel for p in pad):
            self.wrong("pad", pad, f"(front, back), each from 0 to the kernel less one, {self.kernel - 1}")
        self.settle("pad", tuple(pad))
        dimension(self, "channel_dim")
        if self.channel_dim == 0:
            self.wrong("channel_dim", self.channel_dim, "another axis than the batch")
        check_pooling(self, self.pooling)

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op a bottom."""
        kind = ops.MaxPoolingAlong if isinstance(self.pooling, MaxPoolingFunction) else ops.MeanPoolingAlong
        op = kind(self.kernel, self.stride, self.pad, self.channel_dim)
        return [g(op, x) for x in inputs]
