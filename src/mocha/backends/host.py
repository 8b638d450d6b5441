"""Arrays in host memory: the store of the backends that run on the processor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mocha.graph.passes.memory import ALIGNMENT
from mocha.ops import Array, Shape


def aligned_zeros(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """A new row-major array of zeros that starts at a multiple of `ALIGNMENT` bytes."""
    size = math.prod(shape) * dtype.itemsize
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return np.asarray(raw[start : start + size].view(dtype).reshape(shape))


class HostStore:
    """Arrays in host memory, by key.

    Attributes:
        arrays: the arrays; they start at multiples of `ALIGNMENT` bytes.
        version: grows whenever an array may have changed; for those who keep something derived from one.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self.version = 0

    def allocate(self, key: str, array: Array) -> None:
        """Make a new array with these values."""
        self.arrays[key] = aligned_zeros(array.shape, array.dtype)
        self.write(key, array)

    def read(self, key: str) -> Array:
        """A copy of the values."""
        return self.arrays[key].copy()

    def view(self, key: str) -> Array:
        """The array itself. Who changes it must say so with `changed`."""
        return self.arrays[key]

    def changed(self) -> None:
        """An array was changed through its `view`."""
        self.version += 1

    def write(self, key: str, array: Array) -> None:
        """Overwrite the values."""
        self.arrays[key][...] = array
        self.version += 1

    def free(self, key: str) -> None:
        """Drop the array, if it is there."""
        self.arrays.pop(key, None)
        self.version += 1

    def __contains__(self, key: object) -> bool:
        return key in self.arrays
