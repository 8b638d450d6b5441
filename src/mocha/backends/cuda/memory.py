"""Arrays that live on the device, and the backend's store of them."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import numpy as np

from mocha.backends.cuda.device import Address, Bytes, Device
from mocha.ops import Array, Spec


class Memory:
    """Memory of a device, given back when nobody has it any more.

    Args:
        device: whose.
        nbytes: how much.

    Attributes:
        address: where it begins.
        nbytes: how much it is.

    Raises:
        OutOfMemory: there is not as much.
    """

    def __init__(self, device: Device, nbytes: int) -> None:
        self.address: Address = device.allocate(max(nbytes, 1))
        self.nbytes = nbytes
        self._finalizer = weakref.finalize(self, device.release, self.address)
        self._finalizer.atexit = False

    def free(self) -> None:
        """Give it back now."""
        self._finalizer()


def as_bytes(array: Array) -> Bytes:
    """A row-major array as it lies in memory."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


class DeviceStore:
    """Arrays in a device's memory, by key.

    Args:
        device: whose.

    Attributes:
        moved: grows whenever an array may lie elsewhere than before; for those who keep its address.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._arrays: dict[str, tuple[Spec, Memory]] = {}
        self._views: dict[str, Array] = {}
        self.moved = 0

    def allocate(self, key: str, array: Array) -> None:
        """Make a new array with these values."""
        spec = Spec.of(array)
        self._views.pop(key, None)
        self._arrays[key] = spec, Memory(self._device, spec.nbytes)
        self.moved += 1
        self.write(key, array)

    def memory(self, key: str) -> Memory:
        """Where the array lies; it stays there as long as somebody has this."""
        return self._arrays[key][1]

    def read(self, key: str) -> Array:
        """A copy of the values."""
        spec, memory = self._arrays[key]
        return self._device.download(memory.address, spec.nbytes).view(spec.dtype).reshape(spec.shape).copy()

    def view(self, key: str) -> Array:
        """An array on the host that shows the values: it is brought up to date here, and by `wrote`."""
        if key not in self._views:
            self._views[key] = self.read(key)
        else:
            self._views[key][...] = self.read(key)
        return self._views[key]

    def changed(self) -> None:
        """Copy all arrays that somebody views to the device."""
        for key, array in self._views.items():
            self._device.upload(self.memory(key).address, as_bytes(array))

    def wrote(self, keys: Iterable[str]) -> None:
        """The device wrote these arrays: bring views of them up to date."""
        for key in keys:
            if key in self._views:
                self.view(key)

    def write(self, key: str, array: Array) -> None:
        """Overwrite the values."""
        spec, memory = self._arrays[key]
        values = np.empty(spec.shape, spec.dtype)
        values[...] = array
        self._device.upload(memory.address, as_bytes(values))
        if key in self._views:
            self._views[key][...] = values

    def free(self, key: str) -> None:
        """Drop the array, if it is there."""
        self._views.pop(key, None)
        if self._arrays.pop(key, None) is not None:
            self.moved += 1

    def __contains__(self, key: object) -> bool:
        return key in self._arrays
