"""Cropping images, at the centre or at random."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_float
from mocha.random import words

_PLACE = np.dtype(np.int32)


@dataclasses.dataclass(frozen=True)
class Crop(Op):
    """A window of each image, perhaps mirrored; the second output says which: (top, left, mirrored) of each image.

    Shapes: x (N, C, H, W) -> y (N, C, height, width), places (N, 3) int32. If anything is random, there are two more
    inputs, seed () and counter () float64.

    The window is in the middle: top = floor((H - height) / 2), left likewise. If random, image n takes block n of the
    stream at `counter`, four words: top = floor(word 0 (H - height + 1) / 2^32), left likewise from word 1, and it is
    mirrored, left to right, if word 2 is at least 2^31. Not per image, all take block 0.

    The gradient goes back to where the window was; the rest of the image gets 0.

    Args:
        height: of the window, 1 <= height <= H.
        width: of the window, 1 <= width <= W.
        random_crop: whether the place is random.
        random_mirror: whether mirroring is random; else nothing is mirrored.
        per_image: whether each image has a place of its own.
        stream: which random stream.
    """

    height: int
    width: int
    random_crop: bool = False
    random_mirror: bool = False
    per_image: bool = True
    stream: int = 0
    n_aux = 1

    @property
    def draws(self) -> bool:
        """Whether anything is random, so that seed and counter are needed."""
        return self.random_crop or self.random_mirror

    def infer(self, x: Spec, *draw: Spec) -> tuple[Spec, Spec]:
        """(N, C, H, W) -> (N, C, height, width), (N, 3)."""
        check_float(self, x)
        if x.ndim != 4 or x.shape[2] < self.height or x.shape[3] < self.width:
            raise ShapeError(
                f"{self.name}: the input is {x}; expected images (N, C, H, W) of at least {self.height}x{self.width}."
            )
        if len(draw) != 2 * self.draws or any(number.size != 1 for number in draw):
            raise ShapeError(
                f"{self.name}: received {len(draw)} inputs behind the images; expected "
                f"{'seed and counter, two scalars' if self.draws else 'none, for nothing is random'}."
            )
        return Spec((*x.shape[:2], self.height, self.width), x.dtype), Spec((x.shape[0], 3), _PLACE)

    def _places(self, x: Array, draw: Sequence[Array]) -> Array:
        n, spare = x.shape[0], (x.shape[2] - self.height, x.shape[3] - self.width)
        places = np.zeros((n, 3), _PLACE)
        places[:, :2] = spare[0] // 2, spare[1] // 2
        if self.draws:
            seed, counter = draw
            blocks = n if self.per_image else 1
            drawn = words(int(seed), self.stream, int(counter), 4 * blocks).reshape(blocks, 4).astype(np.uint64)
            if self.random_crop:
                places[:, :2] = (drawn[:, :2] * np.array([s + 1 for s in spare], np.uint64)) >> np.uint64(32)
            if self.random_mirror:
                places[:, 2] = drawn[:, 2] >> np.uint64(31)
        return places

    def _window(self, image: Array, place: Array) -> Array:
        """The window of one image, as a view."""
        top, left, mirrored = map(int, place)
        window = image[:, top : top + self.height, left : left + self.width]
        return window[..., ::-1] if mirrored else window

    def forward(self, x: Array, *draw: Array) -> tuple[Array, Array]:
        """Image by image."""
        places = self._places(x, draw)
        y = np.empty((*x.shape[:2], self.height, self.width), x.dtype)
        for n, place in enumerate(places):
            y[n] = self._window(x[n], place)
        return y, places

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Back to where the window was."""
        dx = np.zeros(inputs[0].shape, grads[0].dtype)
        for n, place in enumerate(outputs[1]):
            self._window(dx[n], place)[...] = grads[0][n]
        return dx, *[None] * (len(inputs) - 1)

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The places alone."""
        return (), (1,)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The images, not seed and counter."""
        return (0,)
