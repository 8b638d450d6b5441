"""What the CUDA backend asks of a device: memory, two streams, launches, and graphs of launches.

Work is handed to a device in order and done some time later: nothing here waits, unless it says so. All kernels run on
one stream; a second one copies what comes from the host.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from mocha.backends.cuda.launches.plan import Launch

Bytes = npt.NDArray[np.uint8]
Address = int
"""Where an array begins in the device's memory: a multiple of 256, or of 64 within an arena."""


def bytes_at(address: Address, nbytes: int) -> Bytes:
    """Host memory as an array; who has it keeps the memory alive."""
    memory = (ctypes.c_uint8 * nbytes).from_address(address)
    return np.frombuffer(memoryview(memory), np.uint8)


MOST_INTS, MOST_REALS, MOST_ARRAYS = 24, 8, 10


class Arguments(ctypes.Structure):
    """`Step` of `kernels/mocha.cuh`, field by field."""

    _fields_: ClassVar = [
        ("short_ints", ctypes.c_int64 * MOST_INTS),
        ("short_reals", ctypes.c_double * MOST_REALS),
        ("short_in", ctypes.c_void_p * MOST_ARRAYS),
        ("short_out", ctypes.c_void_p * MOST_ARRAYS),
        ("long_ints", ctypes.c_void_p),
        ("long_reals", ctypes.c_void_p),
        ("long_in", ctypes.c_void_p),
        ("long_out", ctypes.c_void_p),
        ("scratch", ctypes.c_void_p),
        ("trouble", ctypes.c_void_p),
        ("number", ctypes.c_int64),
        ("index", ctypes.c_int64),
    ]


class Event(Protocol):
    """A point in a stream."""

    def synchronize(self) -> None:
        """Wait until the stream has come there."""


class Graph(Protocol):
    """Work that was recorded once, to be handed over at one go."""

    def launch(self) -> None:
        """Hand it over."""


class Products(Protocol):
    """Who does the products: convolutions and products of matrices."""

    def prepare(self, product: Any) -> Product:
        """Choose how one is done.

        Raises:
            BackendUnavailable: the libraries have no way to do it; the message says what they said.
        """


class Product(Protocol):
    """A product that is ready to be done, again and again.

    Attributes:
        workspace: bytes of scratch memory.
    """

    workspace: int

    def enqueue(self, inputs: Sequence[Address], outputs: Sequence[Address], workspace: Address) -> None:
        """Hand it to the stream."""


class Device(ABC):
    """A GPU, or what stands for one.

    Attributes:
        products: who does the products on it.
        has_array_code: whether `view` works here.
    """

    products: Products
    has_array_code: bool = True

    @abstractmethod
    def describe(self) -> str:
        """One line about it."""

    # -- memory

    @abstractmethod
    def allocate(self, nbytes: int) -> Address:
        """Memory that begins at a multiple of 256; it is not cleared.

        Raises:
            OutOfMemory: there is not as much.
        """

    @abstractmethod
    def release(self, address: Address) -> None:
        """Give it back, once all work handed over so far is done."""

    @abstractmethod
    def pinned(self, nbytes: int) -> Bytes:
        """Host memory that is copied to the device and back without waiting."""

    @abstractmethod
    def upload(self, address: Address, array: Bytes) -> None:
        """Copy from the host, behind all work handed over so far. The array may be changed afterwards."""

    @abstractmethod
    def upload_pinned(self, address: Address, pinned: Bytes) -> None:
        """The same of pinned memory, which is read when the work before is done: it must not change until then."""

    @abstractmethod
    def download(self, address: Address, nbytes: int) -> Bytes:
        """Copy to the host, behind all work handed over so far; waits for it."""

    @abstractmethod
    def copy_out(self, address: Address, pinned: Bytes) -> None:
        """Copy to pinned memory without waiting: it is there when an event recorded behind this has passed."""

    @abstractmethod
    def fetch(self, address: Address, nbytes: int) -> Callable[[], Bytes]:
        """The same without waiting: what it returns waits, and gives the bytes."""

    @abstractmethod
    def copy_in(self, address: Address, pinned: Bytes) -> Event:
        """Copy pinned memory on the second stream; the event says when that is done."""

    @abstractmethod
    def view(self, address: Address, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """Memory of the device as an array that NumPy's functions work on: for ops in array code, within `call`."""

    # -- work

    @abstractmethod
    def function(self, family: str, name: str) -> Any:
        """A kernel of `kernels/<family>.cu`: its name with the suffix of its type."""

    @abstractmethod
    def generated(self, source: str, name: str) -> Any:
        """A kernel of a source that includes files of `kernels/`."""

    @abstractmethod
    def launch(self, function: Any, launch: Launch, arguments: Arguments, about: str) -> None:
        """Start a kernel; `about` names it in errors."""

    @abstractmethod
    def call(self, action: Callable[[], None]) -> None:
        """Do something in array code in the stream's order."""

    @abstractmethod
    def record(self) -> Event:
        """Where the kernels' stream stands."""

    @abstractmethod
    def wait(self, event: Event) -> None:
        """Let the kernels' stream wait for an event of the other one."""

    @abstractmethod
    def capture(self, enqueue: Callable[[], None]) -> Graph:
        """Record what a function hands over, without doing it."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all work is done.

        Raises:
            DeviceError: some of it failed; the device is lost.
        """

    def close(self) -> None:
        """Give back what it holds."""
