"""A device without a GPU: kernels compiled by g++ with `emulation/emulation.h`, products done by the reference.

It stands for a GPU in tests, as faithfully as is possible: work that was handed over is done as late as possible, when
somebody waits for it, so that what the host changes too early is found; memory is not cleared but filled with NaN; and
a kernel runs with its threads forwards or backwards.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import math
import os
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.backends.cuda.device import Address, Arguments, Bytes, Device, Event, bytes_at
from mocha.backends.cuda.errors import DeviceError, OutOfMemory
from mocha.backends.cuda.launches.plan import Launch
from mocha.backends.cuda.nvrtc import only
from mocha.cache import cache_folder
from mocha.errors import BackendUnavailable, MochaError, StateError

_HERE = Path(__file__).parent
_FLAGS = (
    "-std=c++17",
    "-O1",
    "-g0",
    "-fPIC",
    "-shared",
    "-x",
    "c++",
    "-DMOCHA_EMULATION",
    "-Wall",
    "-Wextra",
    "-Werror",
)
_QUIET = ("-Wno-unknown-pragmas", "-Wno-unused-function", "-Wno-clobbered")
_SPOILED = 0xFF  # a byte of which NaN is made, and -1
_ALIGNMENT = 256
_ONE_AT_A_TIME = threading.Lock()  # a library keeps the state of the block that it runs


@functools.cache
def _compiler() -> str:
    found = shutil.which(os.environ.get("CXX", "g++"))
    if found is None:
        raise BackendUnavailable(
            "emulating a GPU takes g++, which is not there; install it (on Debian: apt install g++)."
        )
    return found


@functools.cache
def _all_sources() -> bytes:
    digest = hashlib.sha256(" ".join((_compiler(), *_FLAGS, *_QUIET)).encode())
    for path in sorted((*_HERE.glob("kernels/*.cuh"), *_HERE.glob("emulation/*.h"))):
        digest.update(path.read_bytes())
    return digest.digest()


def compile_emulated(source: str, name: str, suffix: str = "") -> Path:
    """The library of a kernel file, or of its kernels of one type; compiled before, or now.

    Raises:
        MochaError: the compiler refuses it, or there is nowhere to keep the library.
    """
    digest = hashlib.sha256(_all_sources() + suffix.encode() + source.encode()).hexdigest()[:24]
    library = cache_folder() / "emulated" / f"{name}-{digest}.so"
    if library.exists():
        return library
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MochaError(
            f"the cache folder {cache_folder()} cannot be written to ({error}). Set MOCHA_CACHE to one that can."
        ) from error
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        path, made = Path(folder) / f"{name}.cu", Path(folder) / "made.so"
        path.write_text(source)
        command = [
            _compiler(),
            *_FLAGS,
            *_QUIET,
            *only(suffix),
            f"-I{_HERE}/emulation",
            f"-I{_HERE}/kernels",
            str(path),
        ]
        ran = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True, check=False)
        if ran.returncode:
            raise MochaError(f"the kernels of {name}.cu do not compile for emulation:\n{ran.stderr}")
        os.replace(made, library)
    return library


@functools.cache
def _load(path: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(path))


class _Stream:
    """Work in order, not done yet."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], None]] = deque()
        self.handed = 0  # of pieces of work
        self.done = 0

    def push(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)
        self.handed += 1

    def run_to(self, position: int) -> None:
        while self.done < position:
            work = self.waiting.popleft()
            self.done += 1
            work()


class _Point:
    """An event: a position in a stream."""

    def __init__(self, stream: _Stream) -> None:
        self._stream, self._position = stream, stream.handed

    def synchronize(self) -> None:
        self._stream.run_to(self._position)


class _Recording:
    """A graph: pieces of work."""

    def __init__(self, stream: _Stream, work: list[Callable[[], None]]) -> None:
        self._stream, self._work = stream, work

    def launch(self) -> None:
        self._stream.push(self._do)

    def _do(self) -> None:
        for work in self._work:
            work()


class EmulatedDevice(Device):
    """What stands for a GPU.

    Args:
        backwards: whether the blocks and threads of kernels run from the last to the first.
        memory: bytes of it; None for no limit.
    """

    def __init__(self, *, backwards: bool = False, memory: int | None = None) -> None:
        from mocha.backends.cuda.products.reference import ReferenceProducts

        _compiler()
        self.products = ReferenceProducts(self)
        self.backwards = backwards
        self.memory = memory
        self._compute, self._copies = _Stream(), _Stream()
        self._recorded: list[Callable[[], None]] | None = None
        self._arrays: dict[Address, Bytes] = {}
        self.launches = 0
        self._closed = False

    def describe(self) -> str:
        """The compiler."""
        return f"an emulated GPU: kernels by {Path(_compiler()).name}, products by NumPy"

    # -- memory

    def allocate(self, nbytes: int) -> Address:
        """Host memory, filled with what is no number."""
        self._refuse_when_closed()
        self._refuse_while_capturing("allocating")
        held = sum(array.size for array in self._arrays.values())
        if self.memory is not None and held + nbytes > self.memory:
            raise OutOfMemory(nbytes, self.memory - held)
        raw = np.full(nbytes + _ALIGNMENT, _SPOILED, np.uint8)
        address = -(-_address(raw) // _ALIGNMENT) * _ALIGNMENT
        self._arrays[address] = raw
        return address

    def release(self, address: Address) -> None:
        """Forget it."""
        if address in self._arrays:  # else the device was closed before
            if self._recorded is None:
                self.synchronize()
            del self._arrays[address]

    def pinned(self, nbytes: int) -> Bytes:
        """Any memory is as good as another."""
        return np.zeros(nbytes, np.uint8)

    def upload(self, address: Address, array: Bytes) -> None:
        """A copy is kept until the work before is done."""
        self._refuse_while_capturing("copying memory that is not pinned")
        copy = array.copy()
        self._push(lambda: _copy(address, _address(copy), copy.size))

    def upload_pinned(self, address: Address, pinned: Bytes) -> None:
        """Read then, and not now."""
        self._push(lambda: _copy(address, _address(pinned), pinned.size))

    def download(self, address: Address, nbytes: int) -> Bytes:
        """When all work is done."""
        return self.fetch(address, nbytes)()

    def copy_out(self, address: Address, pinned: Bytes) -> None:
        """In the stream's order."""
        self._push(lambda: _copy(_address(pinned), address, pinned.size))

    def fetch(self, address: Address, nbytes: int) -> Callable[[], Bytes]:
        """A copy is made in the stream's order."""
        copy = np.empty(nbytes, np.uint8)
        self._push(lambda: _copy(_address(copy), address, nbytes))
        event = self.record()

        def wait() -> Bytes:
            event.synchronize()
            return copy

        return wait

    def copy_in(self, address: Address, pinned: Bytes) -> Event:
        """The pinned memory is read when the copy is done, and not now."""
        self._copies.push(lambda: _copy(address, _address(pinned), pinned.size))
        return _Point(self._copies)

    def view(self, address: Address, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """Host memory is NumPy's."""
        kind = np.dtype(dtype)
        return bytes_at(address, math.prod(shape) * kind.itemsize).view(kind).reshape(shape)

    # -- work

    def function(self, family: str, name: str) -> Any:
        """Of the library of the family."""
        return self.generated((_HERE / "kernels" / f"{family}.cu").read_text(), name, family)

    def generated(self, source: str, name: str, file: str = "generated") -> Any:
        """Of the library of the source."""
        suffix = name.rpartition("_")[2]
        path = compile_emulated(source, file, suffix)
        try:
            library = _load(path)
        except OSError:  # damaged
            path.unlink()
            library = _load(compile_emulated(source, file, suffix))
        function = getattr(library, name)
        function.restype = ctypes.c_char_p
        function.argtypes = [ctypes.POINTER(Arguments), ctypes.c_int, ctypes.c_int, ctypes.c_int]
        return function

    def launch(self, function: Any, launch: Launch, arguments: Arguments, about: str) -> None:
        """Blocks one after the other. The arguments are copied now, as a GPU's driver does."""
        copy = Arguments.from_buffer_copy(arguments)

        def work() -> None:
            self.launches += 1
            with _ONE_AT_A_TIME:
                wrong = function(ctypes.byref(copy), launch.blocks, launch.threads, int(self.backwards))
            if wrong is not None:
                raise MochaError(f"kernel {about}: {wrong.decode()}.")

        self._push(work)

    def call(self, action: Callable[[], None]) -> None:
        """In order."""
        self._push(action)

    def _push(self, work: Callable[[], None]) -> None:
        self._refuse_when_closed()
        if self._recorded is not None:
            self._recorded.append(work)
        else:
            self._compute.push(work)

    def record(self) -> Event:
        """So far."""
        return _Point(self._compute)

    def wait(self, event: Event) -> None:
        """When the stream comes there."""
        self._compute.push(event.synchronize)

    def capture(self, enqueue: Callable[[], None]) -> _Recording:
        """Keep what is handed over."""
        self._recorded = []
        try:
            enqueue()
            return _Recording(self._compute, self._recorded)
        finally:
            self._recorded = None

    def _refuse_while_capturing(self, what: str) -> None:
        """What a driver would refuse."""
        if self._recorded is not None:
            raise DeviceError(f"{what} is not allowed while work is recorded.")

    def _refuse_when_closed(self) -> None:
        """What a GPU that was given back refuses."""
        if self._closed:
            raise StateError("this device was given back; make a new backend.")

    def synchronize(self) -> None:
        """Do everything now."""
        self._refuse_when_closed()
        self._refuse_while_capturing("waiting")
        self._copies.run_to(self._copies.handed)
        self._compute.run_to(self._compute.handed)

    def close(self) -> None:
        """Forget all memory."""
        if not self._closed:
            self.synchronize()
        self._arrays.clear()
        self._closed = True


def _address(array: Bytes) -> Address:
    return int(array.__array_interface__["data"][0])


def _copy(to: Address, source: Address, nbytes: int) -> None:
    ctypes.memmove(to, source, nbytes)
