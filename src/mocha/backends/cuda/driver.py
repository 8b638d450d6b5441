"""CUDA's driver, by NVIDIA's own bindings: each call checked."""

from __future__ import annotations

import functools
import os
from typing import Any

from mocha.backends.cuda.errors import DeviceError, OutOfMemory
from mocha.backends.cuda.extra import require
from mocha.errors import BackendUnavailable

_OLDEST = (7, 5)  # compute capability that CUDA 13 compiles for
_OLDEST_CUDA = 13000  # what NVIDIA's libraries of the extra `cuda` ask of the driver


class Driver:
    """The functions of CUDA's driver: `driver("cuMemAlloc", size)` gives what cuMemAlloc gives, without its status."""

    def __init__(self) -> None:
        self.bindings = require("cuda.bindings.driver")
        self._success = self.bindings.CUresult.CUDA_SUCCESS

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Call a function.

        Raises:
            OutOfMemory: the device has not enough memory.
            DeviceError: the call failed, or work handed over before it did.
        """
        status, *results = getattr(self.bindings, name)(*arguments)
        if status != self._success:
            raise self._error(status, name, arguments)
        return results[0] if len(results) == 1 else tuple(results)

    def quietly(self, name: str, *arguments: Any) -> None:
        """Call a function that gives something back: on a GPU that failed it fails too, and what failed said so."""
        getattr(self.bindings, name)(*arguments)

    def _error(self, status: Any, name: str, arguments: tuple[Any, ...]) -> DeviceError:
        if status == self.bindings.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            if name == "cuMemHostAlloc":
                return DeviceError(
                    f"the system has not {arguments[0] / 2**20:,.0f} MiB of memory that can be pinned for the GPU. Use "
                    "a smaller batch, or close other programs."
                )
            return OutOfMemory(arguments[0] if name == "cuMemAlloc" else 0, self._free())
        return DeviceError(
            f"the GPU failed: {name} says {status.name}. What was on it is lost; start the process anew, and if it "
            "happens again, look at what nvidia-smi says."
        )

    def _free(self) -> int:
        status, free, _ = self.bindings.cuMemGetInfo()
        return int(free) if status == self._success else 0


@functools.cache
def start_driver() -> Driver:
    """The driver, ready.

    Raises:
        BackendUnavailable: there is no driver, it is too old, or there is no GPU.
    """
    driver = Driver()
    results = driver.bindings.CUresult
    try:
        (status,) = driver.bindings.cuInit(0)
    except Exception as error:  # the bindings look for the driver's library at the first call
        raise BackendUnavailable(
            f"NVIDIA's driver is not there ({type(error).__name__}: {error}). A GPU of NVIDIA's and its "
            "driver are needed."
        ) from error
    if status == results.CUDA_ERROR_NO_DEVICE or (status == results.CUDA_SUCCESS and not driver("cuDeviceGetCount")):
        raise BackendUnavailable("NVIDIA's driver sees no GPU. Is CUDA_VISIBLE_DEVICES empty?")
    if status != results.CUDA_SUCCESS:
        raise BackendUnavailable(
            f"NVIDIA's driver does not start: cuInit says {status.name}. Look at what nvidia-smi says."
        )
    version = driver("cuDriverGetVersion")
    if version < _OLDEST_CUDA:
        raise BackendUnavailable(
            f"NVIDIA's driver is too old: it has CUDA {named_version(version)}, and {named_version(_OLDEST_CUDA)} or "
            "later is needed. Install a newer driver."
        )
    return driver


def named_version(number: int) -> str:
    """What people call a version of CUDA: 13.0 for 13000."""
    return f"{number // 1000}.{number % 1000 // 10}"


class Card:
    """What is known about a GPU.

    Args:
        driver: ready.
        number: which one, counted from 0.

    Attributes:
        device: the driver's handle.
        name: of the GPU.
        architecture: 90 for compute capability 9.0.
        memory: bytes.
        version: of CUDA that the driver has: 13000 for 13.0.
    """

    def __init__(self, driver: Driver, number: int) -> None:
        kind = driver.bindings.CUdevice_attribute
        count = driver("cuDeviceGetCount")
        if not 0 <= number < count:
            raise BackendUnavailable(
                f"there is no GPU {number}: NVIDIA's driver sees {count}, and they are counted from 0. Set MOCHA_GPU "
                "to the number of one that is there."
            )
        self.device = driver("cuDeviceGet", number)
        self.name = driver("cuDeviceGetName", 128, self.device).split(b"\0")[0].decode(errors="replace")
        major, minor = (
            driver("cuDeviceGetAttribute", which, self.device)
            for which in (
                kind.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                kind.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        if (major, minor) < _OLDEST:
            raise BackendUnavailable(
                f"{self.name} has compute capability {major}.{minor}; {_OLDEST[0]}.{_OLDEST[1]} or more is needed."
            )
        self.architecture = 10 * major + minor
        self.memory = int(driver("cuDeviceTotalMem", self.device))
        self.version = int(driver("cuDriverGetVersion"))


def chosen_card() -> int:
    """The number of the GPU to use: what `MOCHA_GPU` says, or 0.

    Raises:
        BackendUnavailable: it is not a number.
    """
    text = os.environ.get("MOCHA_GPU") or "0"
    if not text.isdecimal():
        raise BackendUnavailable(f"MOCHA_GPU is {text!r}; expected the number of a GPU, counted from 0.")
    return int(text)
