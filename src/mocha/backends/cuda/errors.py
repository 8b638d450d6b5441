"""What can go wrong with a device."""

from __future__ import annotations

from mocha.errors import MochaError


class DeviceError(MochaError, RuntimeError):
    """Work on the device failed. What was on it is lost: make a new backend, or start the process anew."""


class OutOfMemory(DeviceError, MemoryError):
    """The device has not as much memory as was asked for.

    Args:
        asked: bytes asked for.
        free: bytes that are left.
        about: what it was asked for.
    """

    def __init__(self, asked: int, free: int, about: str = "") -> None:
        prefix = f"{about}: " if about else ""
        more = f"; {asked / 2**20:,.0f} MiB more were asked for" if asked else ""
        super().__init__(
            f"{prefix}the GPU has {free / 2**20:,.0f} MiB of memory left{more}. Use a smaller batch or smaller images, "
            "or close other nets and programs on this GPU."
        )
        self.asked, self.free = asked, free
