"""Blobs as pycaffe shows them: arrays of data and of gradients that can be read and written in place.

A run leaves its results in the memory of the program that computed them. They are copied to a blob's own array when
somebody looks, or at once if somebody still holds that array, for whom it has to change as Caffe's does.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np

from mocha.errors import ShapeError
from mocha.ops import Array, Shape

Reader = Callable[[], Array]


class Cell:
    """An array of a blob, and where newer numbers for it are to be had.

    Args:
        shape: as long as there is no array.
    """

    def __init__(self, shape: Shape, fill: float = 0.0) -> None:
        self.shape = shape
        self._fill = fill
        self._array: Array | None = None
        self._reader: Reader | None = None

    def array(self) -> Array:
        """The array, up to date."""
        if self._reader is not None:
            reader, self._reader = self._reader, None
            self._take(reader())
        if self._array is None:
            self._array = np.full(self.shape, self._fill, np.float32)
        return self._array

    def follow(self, reader: Reader, shape: Shape | None = None) -> None:
        """There are newer numbers, perhaps of another shape."""
        if shape is not None and shape != self.shape:
            self._array, self.shape = None, shape
        self._reader = reader
        if self._watched():
            self.array()

    def _watched(self) -> bool:
        """Whether somebody else holds the array or a part of it, which holds the owner of the memory."""
        if self._array is None:
            return False
        # one reference is the attribute, one the argument; any other is somebody who looks on
        return sys.getrefcount(self._array) > 2 or (
            isinstance(self._array.base, np.ndarray) and sys.getrefcount(self._array.base) > 2
        )

    def settle(self) -> None:
        """Take newer numbers now: they are about to be lost."""
        if self._reader is not None:
            self.array()

    def _take(self, values: Array) -> None:
        if self._array is None or self._array.shape != values.shape:
            self._array, self.shape = values, values.shape
        else:
            self._array[...] = values

    def reshape(self, shape: Shape) -> None:
        """Another shape: the numbers stay if there are as many."""
        if shape == self.shape:
            return
        self.settle()
        if self._array is not None:
            self._array = self._array.reshape(shape) if self._array.size == math.prod(shape) else None
        self.shape = shape


class Blob:
    """An array with its gradient."""

    @property
    def data(self) -> Array:
        """The values, float32; writing into them changes the blob."""
        raise NotImplementedError

    @property
    def diff(self) -> Array:
        """The gradients, float32, of the same shape."""
        raise NotImplementedError

    @property
    def shape(self) -> Shape:
        """The sizes of all axes."""
        return self.data.shape

    @property
    def count(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    def _legacy(self, axis: int) -> int:
        if len(self.shape) > 4:
            raise ShapeError(f"a blob of shape {self.shape} has no num, channels, height and width; use shape.")
        return self.shape[axis] if axis < len(self.shape) else 1

    @property
    def num(self) -> int:
        """The first of four axes; 1 for one that is not there."""
        return self._legacy(0)

    @property
    def channels(self) -> int:
        """The second of four axes."""
        return self._legacy(1)

    @property
    def height(self) -> int:
        """The third of four axes."""
        return self._legacy(2)

    @property
    def width(self) -> int:
        """The last of four axes."""
        return self._legacy(3)


class NetBlob(Blob):
    """A blob of a net.

    Args:
        shape: its shape.
        weight: what it counts in the objective: its gradients start as that.
        reshaped: is called with a new shape that was asked for.
    """

    def __init__(self, shape: Shape, weight: float, reshaped: Callable[[Shape], None]) -> None:
        self.values = Cell(shape)
        self.gradients = Cell(shape, weight)
        self._reshaped = reshaped

    @property
    def data(self) -> Array:
        """The values."""
        return self.values.array()

    @property
    def diff(self) -> Array:
        """The gradients."""
        return self.gradients.array()

    @property
    def shape(self) -> Shape:
        """The sizes, without looking at the numbers."""
        return self.values.shape

    def reshape(self, *shape: int) -> None:
        """Another shape, for blobs that the user fills; `net.reshape()` or the next forward has the others follow.

        Raises:
            ShapeError: a size is negative, or there are too many elements.
        """
        wanted = tuple(int(n) for n in shape)
        if min(wanted, default=0) < 0 or math.prod(wanted) >= 2**31:
            raise ShapeError(f"reshape: received {wanted}; expected sizes >= 0, of below 2**31 elements.")
        self._reshaped(wanted)


class ParameterBlob(Blob):
    """A parameter of a net.

    Args:
        expose: gives the array in the backend's store, and notes that somebody may change it.
        shape: its shape.
    """

    def __init__(self, expose: Callable[[], Array], shape: Shape) -> None:
        self._expose = expose
        self._shape = shape
        self._diff: Array | None = None
        self._reader: Reader | None = None

    @property
    def data(self) -> Array:
        """The values."""
        return self._expose()

    @property
    def diff(self) -> Array:
        """The gradients: each backward adds to them."""
        reader, self._reader = self._reader, None
        if self._diff is None:
            self._diff = np.zeros(self._shape, np.float32) if reader is None else reader()
        elif reader is not None:
            self._diff[...] = reader()
        return self._diff

    def follow_diff(self, reader: Reader) -> None:
        """There are other gradients; they are copied when somebody looks, or at once for somebody who looks on."""
        self._reader = reader
        if self._diff is not None and sys.getrefcount(self._diff) > 2:
            assert self.diff is self._diff

    @property
    def shape(self) -> Shape:
        """The sizes."""
        return self._shape

    def add_diff(self, gradient: Array) -> None:
        """Add what a backward gave."""
        if self._diff is None and self._reader is None:
            self._diff = gradient
        else:
            self.diff[...] += gradient

    def clear_diff(self) -> None:
        """Make the gradients 0."""
        self._reader = None
        if self._diff is not None:
            self._diff[...] = 0


class BlobVec(list[ParameterBlob]):
    """The parameters of a layer."""
