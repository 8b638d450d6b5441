"""Layers that normalise."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from mocha import ops
from mocha.graph import Graph, Value
from mocha.layers.base import Layer, number, positive_int


@dataclasses.dataclass(frozen=True)
class AcrossChannelMode:
    """The window is over neighbouring channels."""


@dataclasses.dataclass(frozen=True)
class WithinChannelMode:
    """The window is over neighbouring pixels of the same channel."""


class LRNMode:
    """The windows of `LRNLayer` under Mocha's names: `LRNMode.AcrossChannel()`, `LRNMode.WithinChannel()`."""

    AcrossChannel: TypeAlias = AcrossChannelMode
    WithinChannel: TypeAlias = WithinChannelMode


class LRNLayer(Layer):
    """Local response normalisation: y = x / (shift + scale m)^power, with m the mean of x^2 over a window around x.

    Shapes: bottom (N, C, H, W) -> top of the same. What lies outside the image counts as 0 in the mean; see
    `mocha.ops.LRN`. `scale` is Caffe's `alpha`, `power` its `beta`, `shift` its `k`.

    Args:
        kernel: channels of the window, or its height and width. Within a channel it must be odd.
        scale: weight of the mean, >= 0.
        shift: what is added, >= 0; with 0, an element is NaN where its whole window is 0.
        power: the exponent, >= 0.
        mode: LRNMode.AcrossChannel() or LRNMode.WithinChannel().
        channel_dim: the axis of the channels: 1. (Mocha.jl calls it -2.)

    Examples:
        >>> layer = LRNLayer(kernel=3, scale=3, shift=1, power=1, bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=np.ones((1, 4, 1, 1)))["y"].ravel()
        array([0.3333, 0.25  , 0.25  , 0.3333])
        >>> within = LRNLayer(kernel=3, mode=LRNMode.WithinChannel(), bottoms=["x"], tops=["y"])
        >>> run_layers(within, x=np.ones((1, 1, 3, 3)))["y"][0, 0]
        array([[0.759 , 0.6817, 0.759 ],
               [0.6817, 0.5946, 0.6817],
               [0.759 , 0.6817, 0.759 ]])
    """

    name: str = "lrn"
    kernel: int = 5
    scale: float = 1.0
    shift: float = 1.0
    power: float = 0.75
    mode: AcrossChannelMode | WithinChannelMode = AcrossChannelMode()
    channel_dim: int = 1
    n_bottoms: ClassVar[int | None] = 1
    n_tops: ClassVar[int | None] = 1

    def check(self) -> None:
        """Property by property."""
        positive_int(self, "kernel")
        for field in ("scale", "shift", "power"):
            number(self, field)
        if not isinstance(self.mode, (AcrossChannelMode, WithinChannelMode)):
            self.wrong("mode", self.mode, "LRNMode.AcrossChannel() or LRNMode.WithinChannel()")
        if isinstance(self.mode, WithinChannelMode) and self.kernel % 2 == 0:
            self.wrong("kernel", self.kernel, "an odd number: a window within a channel has its pixel in the middle")
        if isinstance(self.channel_dim, bool) or self.channel_dim != 1:
            self.wrong("channel_dim", self.channel_dim, "1, the axis of the channels (Mocha.jl's -2 is 1 here)")

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        across = isinstance(self.mode, AcrossChannelMode)
        return [g(ops.LRN(self.kernel, self.scale, self.power, self.shift, across), inputs[0])]
