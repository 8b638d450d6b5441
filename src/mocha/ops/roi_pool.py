"""Pooling of regions of images into a fixed number of bins (Girshick, "Fast R-CNN", ICCV 2015)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mocha.errors import FormatError, ShapeError
from mocha.ops.base import Array, Op, Spec, check_float

FARTHEST = 2.0**30
"""Coordinates of a region must not be larger than this, in cells."""


@dataclasses.dataclass(frozen=True)
class RoiPooling(Op):
    """The maxima of bins of regions; the second output is each winner's cell in its image, h W + w, or -1 for none.

    Shapes: x (N, C, H, W), regions (R, 5) of the same type: number of the image, x1, y1, x2, y2 -> y (R, C, pooled_h,
    pooled_w), winners of the same shape, int32.

    Geometry: coordinates times `spatial_scale` are rounded, halves away from zero, to the region's first and last row
    and column; it is ``max(last - first + 1, 1)`` long. Bin i of an axis reaches from ``first + floor(i step)`` up to
    ``first + ceil((i + 1) step)``, which it does not hold, with ``step = length / pooled``, computed in the type of x,
    and is clipped to the image. Neighbouring bins may overlap. An empty bin gives 0 and passes no gradient.

    Ties: the first maximum in row-major order wins, and the gradient goes to it alone; a cell sums what it gets. NaN: a
    bin that holds a NaN gives NaN, and its first NaN wins. (In Caffe a NaN never wins.) Regions have no gradient.

    Args:
        pooled_h: bins down, >= 1.
        pooled_w: bins across, >= 1.
        spatial_scale: cells of x for each unit of the coordinates.
    """

    pooled_h: int
    pooled_w: int
    spatial_scale: float = 1.0
    n_aux = 1

    def infer(self, x: Spec, regions: Spec) -> tuple[Spec, Spec]:
        """(N, C, H, W), (R, 5) -> (R, C, pooled_h, pooled_w) twice: maxima and winners."""
        check_float(self, x)
        if x.ndim != 4 or x.shape[2] * x.shape[3] >= 2**31:
            raise ShapeError(f"{self.name}: the input is {x}; expected images (N, C, H, W) of less than 2^31 pixels.")
        if regions.ndim != 2 or regions.shape[1] != 5 or regions.dtype != x.dtype:
            raise ShapeError(
                f"{self.name}: the regions are {regions}; expected (R, 5) {x.dtype}: image, x1, y1, x2, y2."
            )
        if min(self.pooled_h, self.pooled_w) < 1:
            raise ShapeError(f"{self}: expected at least one bin each way.")
        shape = (regions.shape[0], x.shape[1], self.pooled_h, self.pooled_w)
        return Spec(shape, x.dtype), Spec(shape, np.dtype(np.int32))

    def _images(self, regions: Array, images: int) -> Array:
        """The number of each region's image.

        Raises:
            FormatError: there is no such image.
        """
        numbers = regions[:, 0]
        for r in np.flatnonzero(~((numbers >= 0) & (numbers < images) & (np.floor(numbers) == numbers))):
            raise FormatError(
                f"{self.name}: region {r} is in image {numbers[r]:g}; expected a whole number from 0 to {images - 1}."
            )
        return numbers.astype(np.int64)

    def _borders(self, regions: Array, first: int, bins: int, size: int) -> Array:
        """Begin and end of each bin along an axis, (R, bins, 2); its coordinates are columns `first` and `first` + 2.

        Raises:
            FormatError: a coordinate is not finite, or far away.
        """
        ends = (regions[:, first : first + 3 : 2] * regions.dtype.type(self.spatial_scale)).astype(np.float64)
        for r in np.flatnonzero(~(np.abs(ends) <= FARTHEST).all(axis=1)):
            raise FormatError(
                f"{self.name}: region {r} is {regions[r].tolist()}; expected finite coordinates, and none beyond 2^30 "
                "cells."
            )
        low, high = np.trunc(ends + np.copysign(0.5, ends)).astype(np.int64).T
        step = np.maximum(high - low + 1, 1).astype(regions.dtype) / regions.dtype.type(bins)
        number = np.arange(bins + 1, dtype=regions.dtype)
        begin, end = np.floor(number[:-1] * step[:, None]), np.ceil(number[1:] * step[:, None])
        return np.clip(np.stack([begin, end], axis=2).astype(np.int64) + low[:, None, None], 0, size)

    def forward(self, x: Array, regions: Array) -> tuple[Array, Array]:
        """Bin by bin, all channels at once."""
        images = self._images(regions, x.shape[0])
        rows = self._borders(regions, 2, self.pooled_h, x.shape[2])
        columns = self._borders(regions, 1, self.pooled_w, x.shape[3])
        y, winners = (np.empty(spec.shape, spec.dtype) for spec in self.infer(Spec.of(x), Spec.of(regions)))
        for r, i, j in np.ndindex(len(regions), self.pooled_h, self.pooled_w):
            (top, bottom), (left, right) = rows[r, i], columns[r, j]
            if bottom <= top or right <= left:
                y[r, :, i, j], winners[r, :, i, j] = 0, -1
                continue
            cells = x[images[r], :, top:bottom, left:right].reshape(x.shape[1], (bottom - top) * (right - left))
            best = cells.argmax(axis=1)
            y[r, :, i, j] = np.take_along_axis(cells, best[:, None], axis=1)[:, 0]
            winners[r, :, i, j] = (top + best // (right - left)) * x.shape[3] + left + best % (right - left)
        return y, winners

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Each bin's gradient goes to its winner."""
        (x, regions), winners = inputs, outputs[1]
        n, channels, height, width = x.shape
        dx = np.zeros((n, channels, height * width), grads[0].dtype)
        for r, image in enumerate(self._images(regions, n)):
            where, dy = (some.reshape(channels, self.pooled_h * self.pooled_w) for some in (winners[r], grads[0][r]))
            c, b = np.nonzero(where >= 0)
            np.add.at(dx[image], (c, where[c, b]), dy[c, b])
        return dx.reshape(x.shape), None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The regions, for their images, and the winners."""
        return (1,), (1,)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The images, not the regions."""
        return (0,)
