"""An NVIDIA GPU by CUDA's driver."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.backends.cuda.device import Address, Arguments, Bytes, Device, Event, Graph, Products, bytes_at
from mocha.backends.cuda.driver import Card, chosen_card, start_driver
from mocha.backends.cuda.errors import DeviceError, OutOfMemory
from mocha.backends.cuda.extra import require
from mocha.backends.cuda.launches.plan import Launch
from mocha.backends.cuda.libraries import load_libraries
from mocha.backends.cuda.nvrtc import KERNELS, compile_kernels
from mocha.backends.cuda.recorded import DriverEvent, DriverGraph, StreamHandle
from mocha.errors import BackendUnavailable, StateError

_ROUNDS = 5  # of a plan that is timed


class Gpu(Device):
    """A GPU.

    Args:
        number: which one, counted from 0; None for what `MOCHA_GPU` says.
        products: makes what does the products on it; NVIDIA's libraries, unless told.

    Raises:
        BackendUnavailable: it cannot be used here; the message says why.
    """

    _closed = True  # until there is something to close
    _stream: Any = None
    _copies: Any = None

    def __init__(self, number: int | None = None, products: Callable[[Gpu], Products] | None = None) -> None:
        self.driver = start_driver()
        self.card = Card(self.driver, chosen_card() if number is None else number)
        self._held: dict[tuple[str, int], Any] = {}
        self._capturing = False
        self._put_off: list[tuple[str, Any]] = []
        self._modules: dict[str, Any] = {}
        self._functions: dict[tuple[str, str], Any] = {}
        self._spare: dict[int, list[Bytes]] = {}
        self._closing: list[Callable[[], None]] = []
        self._context = self.driver("cuDevicePrimaryCtxRetain", self.card.device)
        self._closed = False
        try:
            self.here()
            self._stream, self._copies = self._new_stream(), self._new_stream()
            self.products = products(self) if products else self._library_products()
        except BaseException:
            self.close()
            raise

    def _new_stream(self) -> Any:
        kind = self.driver.bindings.CUstream_flags.CU_STREAM_NON_BLOCKING
        return self._hold("cuStreamDestroy", self.driver("cuStreamCreate", kind.value))

    def _library_products(self) -> Products:
        from mocha.backends.cuda.products.convolutions import Target
        from mocha.backends.cuda.products.libraries import LibraryProducts
        from mocha.backends.cuda.products.matrices import MatrixLibrary

        load_libraries()
        cudnn = require("cudnn")
        try:
            handle = cudnn.create_handle()
            self._closing.append(lambda: cudnn.destroy_handle(handle))
            cudnn.set_stream(handle=handle, stream=int(self._stream))
            matrices = MatrixLibrary(int(self._stream))
        except BackendUnavailable:
            raise
        except Exception as error:  # each library has its own kinds
            raise BackendUnavailable(
                f"cuDNN or cuBLAS does not start on {self.card.name}: {error}. Is memory left? Look at what nvidia-smi "
                "says."
            ) from error
        self._closing.append(matrices.close)
        return LibraryProducts(Target(self.card.name, handle, None, self.card.architecture, self._time), matrices)

    def describe(self) -> str:
        """Its name."""
        return str(self.card.name)

    def here(self) -> None:
        """Make the GPU that of this thread. Others may have made another one that, so it is done each time."""
        if self._closed:
            raise StateError("this GPU was given back; make a new backend.")
        self.driver("cuCtxSetCurrent", self._context)

    # -- what is given back

    def _hold(self, give_back: str, handle: Any) -> Any:
        """Remember what a function of the driver's gives back, here or at the end."""
        self._held[give_back, int(handle)] = handle
        return handle

    def keep(self, owner: object, give_back: str, handle: Any) -> None:
        """Give something back when nobody has its owner any more."""
        self._hold(give_back, handle)
        weakref.finalize(owner, self._give_back, give_back, handle).atexit = False

    def _give_back(self, how: str, handle: Any) -> None:
        """Once; and not while the stream captures, since that would spoil the graph. Garbage comes at any time."""
        if self._capturing:
            self._put_off.append((how, handle))
        elif self._held.pop((how, int(handle)), None) is not None:
            self._return(how, handle)

    def _return(self, how: str, handle: Any) -> None:
        quietly = self.driver.quietly
        quietly("cuCtxSetCurrent", self._context)
        if how == "cuMemFreeHost":  # the other functions wait by themselves where they must
            quietly("cuStreamSynchronize", self._copies)
            quietly("cuStreamSynchronize", self._stream)
        quietly(how, handle)

    # -- memory

    def allocate(self, nbytes: int) -> Address:
        """From the driver."""
        self.here()
        return int(self._hold("cuMemFree", int(self.driver("cuMemAlloc", max(nbytes, 1)))))

    def release(self, address: Address) -> None:
        """When all work is done; the driver waits."""
        self._give_back("cuMemFree", address)

    def pinned(self, nbytes: int) -> Bytes:
        """Until nobody has it any more."""
        self.here()
        address = int(self.driver("cuMemHostAlloc", max(nbytes, 1), 0))
        array = bytes_at(address, nbytes)
        self.keep(array.base, "cuMemFreeHost", address)
        return array

    def upload(self, address: Address, array: Bytes) -> None:
        """Waits for it: the driver may read memory that is not pinned as late as the stream comes there."""
        self.upload_pinned(address, array)
        self.driver("cuStreamSynchronize", self._stream)

    def upload_pinned(self, address: Address, pinned: Bytes) -> None:
        """Read when the stream comes there."""
        self.here()
        if pinned.size:
            self.driver("cuMemcpyHtoDAsync", address, pinned.ctypes.data, pinned.size, self._stream)

    def download(self, address: Address, nbytes: int) -> Bytes:
        """Waits for the stream."""
        result = np.empty(nbytes, np.uint8)
        self.copy_out(address, result)
        self.driver("cuStreamSynchronize", self._stream)
        return result

    def copy_out(self, address: Address, pinned: Bytes) -> None:
        """On the kernels' stream."""
        self.here()
        if pinned.size:
            self.driver("cuMemcpyDtoHAsync", pinned.ctypes.data, address, pinned.size, self._stream)

    def fetch(self, address: Address, nbytes: int) -> Callable[[], Bytes]:
        """By pinned memory, which serves again when its bytes were taken."""
        spare = self._spare.setdefault(nbytes, [])
        pinned = spare.pop() if spare else self.pinned(nbytes)
        self.copy_out(address, pinned)
        event = self.record()
        found: list[Bytes] = []

        def wait() -> Bytes:
            if not found:
                event.synchronize()
                found.append(pinned.copy())
                spare.append(pinned)
            return found[0]

        return wait

    def copy_in(self, address: Address, pinned: Bytes) -> Event:
        """On the second stream."""
        self.here()
        if pinned.size:
            self.driver("cuMemcpyHtoDAsync", address, pinned.ctypes.data, pinned.size, self._copies)
        return DriverEvent(self, self._copies)

    @functools.cached_property
    def has_array_code(self) -> bool:  # type: ignore[override]
        """Whether CuPy is there."""
        try:
            require("cupy")
        except BackendUnavailable:
            return False
        return True

    def view(self, address: Address, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """An array of CuPy's."""
        cupy = require("cupy")
        kind = np.dtype(dtype)
        nbytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        memory = cupy.cuda.UnownedMemory(address, max(nbytes, 1), self, self.card_number)
        return cupy.ndarray(shape, kind, cupy.cuda.MemoryPointer(memory, 0))

    @property
    def card_number(self) -> int:
        """Which GPU it is."""
        return int(self.card.device)

    # -- work

    def function(self, family: str, name: str) -> Any:
        """Compiled for this GPU now, or before, with all kernels of its file that have its type."""
        suffix = name.rpartition("_")[2]
        return self._function(f"{family}_{suffix}", name, suffix, lambda: (KERNELS / f"{family}.cu").read_text())

    def generated(self, source: str, name: str) -> Any:
        """Likewise."""
        return self._function(source, name, "", lambda: source)

    def _function(self, module: str, name: str, suffix: str, source: Callable[[], str]) -> Any:
        self.here()
        if (module, name) not in self._functions:
            if module not in self._modules:
                file = module if module.isidentifier() else "generated"
                cubin = compile_kernels(source(), file, self.card.architecture, suffix)
                self._modules[module] = self._hold("cuModuleUnload", self.driver("cuModuleLoadData", cubin))
            self._functions[module, name] = self.driver("cuModuleGetFunction", self._modules[module], name.encode())
        return self._functions[module, name]

    def launch(self, function: Any, launch: Launch, arguments: Arguments, about: str) -> None:
        """The driver copies the arguments."""
        self.here()
        pointer = (ctypes.c_void_p * 1)(ctypes.addressof(arguments))
        try:
            self.driver(
                "cuLaunchKernel", function, launch.blocks, 1, 1, launch.threads, 1, 1, 0, self._stream,
                ctypes.addressof(pointer), 0,
            )  # fmt: skip
        except OutOfMemory:
            raise
        except DeviceError as error:
            raise DeviceError(
                f"kernel {about} ({launch.blocks} blocks of {launch.threads} threads), or work before it: {error}"
            ) from error

    def call(self, action: Callable[[], None]) -> None:
        """By CuPy, on the stream."""
        cupy = require("cupy")
        with cupy.cuda.Device(self.card_number), cupy.cuda.Stream.from_external(StreamHandle(int(self._stream))):
            action()

    def record(self) -> Event:
        """On the kernels' stream."""
        self.here()
        return DriverEvent(self, self._stream)

    def wait(self, event: Event) -> None:
        """The stream does."""
        assert isinstance(event, DriverEvent)
        self.here()
        self.driver("cuStreamWaitEvent", self._stream, event.handle, 0)

    def capture(self, enqueue: Callable[[], None]) -> Graph:
        """By the driver."""
        self.here()
        mode = self.driver.bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self.driver("cuStreamBeginCapture", self._stream, mode)
        self._capturing = True
        try:
            enqueue()
        except BaseException:
            _, graph = self.driver.bindings.cuStreamEndCapture(self._stream)
            if graph:
                self.driver.quietly("cuGraphDestroy", graph)
            raise
        else:
            return DriverGraph(self, self.driver("cuStreamEndCapture", self._stream), self._stream)
        finally:
            self._capturing = False
            put_off, self._put_off = self._put_off, []
            for how, handle in put_off:
                self._give_back(how, handle)

    def synchronize(self) -> None:
        """Both streams."""
        self.here()
        self.driver("cuStreamSynchronize", self._copies)
        self.driver("cuStreamSynchronize", self._stream)

    def _time(self, run: Callable[[Sequence[Address], Address], None], sizes: Sequence[int], workspace: int) -> float:
        """Milliseconds that some work on arrays of such sizes takes."""
        arrays = [self.allocate(size) for size in (*sizes, workspace)]
        try:
            run(arrays[:-1], arrays[-1])  # loads what it needs
            begin = DriverEvent(self, self._stream, timed=True)
            for _ in range(_ROUNDS):
                run(arrays[:-1], arrays[-1])
            end = DriverEvent(self, self._stream, timed=True)
            end.synchronize()
            return float(self.driver("cuEventElapsedTime", begin.handle, end.handle)) / _ROUNDS
        finally:
            for array in arrays:
                self.release(array)

    def close(self) -> None:
        """Give back all memory, and the libraries' handles."""
        if self._closed:
            return
        with contextlib.suppress(DeviceError):  # what is lost is given back as a whole, with the context
            self.synchronize()
        for close in reversed(self._closing):
            with contextlib.suppress(Exception):
                close()
        self._spare.clear()
        while self._held:
            (how, _), handle = self._held.popitem()
            self._return(how, handle)
        self._closed = True
        self.driver.quietly("cuDevicePrimaryCtxRelease", self.card.device)

    def __del__(self, exiting: Callable[[], bool] = sys.is_finalizing) -> None:
        if not exiting():
            self.close()
