"""Arrays in host memory: the store of the backends that run on the processor."""

from __future__ import annotations

import numpy as np

from mocha.ops import Array


class HostStore:
    """Arrays in host memory, by key."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def allocate(self, key: str, array: Array) -> None:
        """Make a new array with these values."""
        self.arrays[key] = np.array(array, order="C")

    def read(self, key: str) -> Array:
        """A copy of the values."""
        return self.arrays[key].copy()

    def write(self, key: str, array: Array) -> None:
        """Overwrite the values."""
        self.arrays[key][...] = array

    def free(self, key: str) -> None:
        """Drop the array, if it is there."""
        self.arrays.pop(key, None)

    def __contains__(self, key: object) -> bool:
        return key in self.arrays
