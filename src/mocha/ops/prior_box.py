"""Prior boxes: the boxes that a detector's predictions are relative to (Liu et al., "SSD", ECCV 2016)."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from mocha.errors import ConfigError
from mocha.ops.base import Array, Op, Spec, check_float

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class PriorBox(Op):
    """Boxes around the centre of each cell of a map, as parts of the image's width and height, and their variances.

    Shapes: no input -> (1, 2, 4 H W P): boxes as x1, y1, x2, y2, then four variances for each. They are in the order of
    rows, columns, priors. The centre of cell (i, j) is ``((j + offset) step w, (i + offset) step h)``. For each minimal
    size m, in order, the priors are: a square of side m; where there are maximal sizes, a square of side
    ``sqrt(m max)``; and for each aspect ratio a other than 1 a box of ``m sqrt(a)`` by ``m / sqrt(a)``. The ratios are
    1, then those given, each followed by its inverse if `flip`; one within 1e-6 of an earlier one is left out with its
    inverse. P is the number of ratios times that of minimal sizes, and one more for each maximal size.

    Args:
        height: H, cells of the map down.
        width: W, cells of the map across.
        image: height and width of the image.
        min_sizes: sides, in pixels of the image, > 0.
        max_sizes: as many, each larger than the minimal size at its place; or none.
        aspect_ratios: width by height, > 0.
        flip: whether each ratio stands for its inverse too.
        clip: whether boxes are clipped to the image, to [0, 1].
        variances: four numbers > 0, or one for all.
        step: pixels between centres, down and across; 0 stands for the image's extent divided by the map's.
        offset: of the centres, in cells.
        dtype: of the result.
    """

    height: int
    width: int
    image: Pair
    min_sizes: tuple[float, ...]
    max_sizes: tuple[float, ...] = ()
    aspect_ratios: tuple[float, ...] = ()
    flip: bool = True
    clip: bool = False
    variances: tuple[float, ...] = (0.1,)
    step: tuple[float, float] = (0.0, 0.0)
    offset: float = 0.5
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if min(self.height, self.width, *self.image) < 1:
            raise ConfigError(f"{self}: expected a map and an image of at least one cell and pixel each way.")
        numbers = (*self.min_sizes, *self.max_sizes, *self.aspect_ratios, *self.variances)
        if not self.min_sizes or not all(0 < number < math.inf for number in numbers):
            raise ConfigError(
                f"{self}: expected at least one minimal size; sizes, ratios and variances > 0 and finite."
            )
        if self.max_sizes and (
            len(self.max_sizes) != len(self.min_sizes)
            or any(high <= low for low, high in zip(self.min_sizes, self.max_sizes, strict=True))
        ):
            raise ConfigError(
                f"{self}: the maximal sizes are {self.max_sizes}, the minimal ones {self.min_sizes}; expected none, or "
                "as many, and each larger than the minimal one."
            )
        if len(self.variances) not in (1, 4):
            raise ConfigError(f"{self}: received {len(self.variances)} variances; expected 1 or 4.")
        if not all(0 <= step < math.inf for step in self.step) or not math.isfinite(self.offset):
            raise ConfigError(f"{self}: expected steps >= 0 and an offset, all finite.")

    @property
    def ratios(self) -> tuple[float, ...]:
        """All aspect ratios, 1 first."""
        found = [1.0]
        for ratio in self.aspect_ratios:
            if all(abs(ratio - other) >= 1e-6 for other in found):
                found += [ratio, 1 / ratio] if self.flip else [ratio]
        return tuple(found)

    def _sides(self) -> Array:
        """Width and height of each prior, in pixels: (P, 2)."""
        sides = []
        for place, size in enumerate(self.min_sizes):
            sides.append((size, size))
            if self.max_sizes:
                side = math.sqrt(size * self.max_sizes[place])
                sides.append((side, side))
            sides += [(size * math.sqrt(a), size / math.sqrt(a)) for a in self.ratios[1:]]
        return np.array(sides)

    def infer(self) -> Spec:
        """(1, 2, 4 H W P)."""
        priors = len(self.ratios) * len(self.min_sizes) + len(self.max_sizes)
        spec = Spec((1, 2, 4 * self.height * self.width * priors), np.dtype(self.dtype))
        check_float(self, spec)
        return spec

    def forward(self) -> Array:
        """Centres, and half of each size before and behind."""
        down, across = (
            (np.arange(cells) + self.offset) * (step or pixels / cells)
            for cells, step, pixels in zip((self.height, self.width), self.step, self.image, strict=True)
        )
        centres = np.stack(np.broadcast_arrays(across, down[:, None]), axis=2)[:, :, None]
        halves = self._sides() / 2
        boxes = np.concatenate([centres - halves, centres + halves], axis=3)
        boxes /= np.array([self.image[1], self.image[0]] * 2)
        if self.clip:
            boxes = boxes.clip(0, 1)
        variances = np.broadcast_to(np.array(self.variances), boxes.shape)
        return np.stack([boxes.reshape(-1), variances.reshape(-1)])[None].astype(self.dtype)
