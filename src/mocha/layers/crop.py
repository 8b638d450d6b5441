"""The layer that crops and mirrors images."""

from __future__ import annotations

from collections.abc import Sequence

from mocha import ops
from mocha.graph import Graph, Phase, Value
from mocha.layers.base import Layer, as_pair, pair
from mocha.random import stream_of


class CropLayer(Layer):
    """A window of each image: in training at a random place and mirrored at random, if asked; else the middle.

    In testing it is the middle always, at floor((size - crop_size) / 2), and nothing is mirrored. Several bottoms are
    cropped independently of each other. A gradient goes back to where the window was.

    Shapes: bottom (N, C, H, W) -> top (N, C, *crop_size).

    Args:
        crop_size: (height, width), or one number for both, >= 1. (Mocha.jl's order is (width, height).)
        random_crop: in training, draw the place among all that there are, each with the same probability.
        random_mirror: in training, mirror left to right with probability 1/2.
        per_image: draw for each image; with False once a batch and bottom, as Mocha.jl does.

    Examples:
        >>> image = np.arange(16).reshape(1, 1, 4, 4)
        >>> run_layers(CropLayer(crop_size=2, bottoms=["x"], tops=["y"]), x=image)["y"]
        array([[[[ 5.,  6.],
                 [ 9., 10.]]]])
    """

    name: str = "crop"
    crop_size: int | tuple[int, int]
    random_crop: bool = False
    random_mirror: bool = False
    per_image: bool = True

    def check(self) -> None:
        """Property by property."""
        pair(self, "crop_size", 1)
        for field in ("random_crop", "random_mirror", "per_image"):
            if not isinstance(getattr(self, field), bool):
                self.wrong(field, getattr(self, field), "True or False")

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op a bottom."""
        height, width = as_pair(self.crop_size)
        if g.phase is Phase.TEST or not (self.random_crop or self.random_mirror):
            return [g(ops.Crop(height, width), x) for x in inputs]
        draw = g.scalar("seed"), g.scalar("counter")
        tops = []
        for number, (bottom, x) in enumerate(zip(self.bottoms, inputs, strict=True)):
            stream = stream_of("crop", self.name, bottom, number)
            op = ops.Crop(height, width, self.random_crop, self.random_mirror, self.per_image, stream)
            tops.append(g(op, x, *draw))
        return tops
