"""A GPU by the stand-in for CUDA's driver; for processes that have it on LD_LIBRARY_PATH."""

import ctypes
import gc
import math
from collections import Counter
from pathlib import Path

import numpy as np

from mocha.backends.cuda import CudaBackend, gpu
from mocha.backends.cuda.device import bytes_at
from mocha.backends.cuda.emulated import compile_emulated
from mocha.backends.cuda.products.reference import ReferenceProducts

SOURCE = Path(__file__).parent / "libcuda.c"
KINDS = ("memory", "pinned", "stream", "event", "module", "function", "graph", "executable graph")

gpu.compile_kernels = lambda source, name, _, suffix: bytes(compile_emulated(source, name, suffix)) + b"\0"


class FakeGpu(gpu.Gpu):
    """The device of the CUDA backend, but for array code: that is NumPy's, called by the stream."""

    has_array_code = True

    def __init__(self, number=None, products=ReferenceProducts):
        self.failed = []
        self._actions = []
        super().__init__(number, products)

    def view(self, address, shape, dtype):
        kind = np.dtype(dtype)
        return bytes_at(address, math.prod(shape) * kind.itemsize).view(kind).reshape(shape)

    def call(self, action):
        @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        def run(_):
            gc.disable()  # what is collected here would call the driver
            try:
                action()
            except Exception as error:
                self.failed.append(error)
            finally:
                gc.enable()

        self._actions.append(run)
        self.here()
        self.driver("cuLaunchHostFunc", self._stream, ctypes.cast(run, ctypes.c_void_p).value, 0)

    def synchronize(self):
        super().synchronize()
        if self.failed:
            raise self.failed.pop()


def new_backend(*, number=None, **options):
    return CudaBackend(FakeGpu(number), **options)


def alive():
    """What there is of the driver's things: kind -> how many."""
    library = ctypes.CDLL("libcuda.so.1")
    counts = {kind: library.fake_count(i) for i, kind in enumerate(KINDS, 1)}
    return +Counter({**counts, "context": library.fake_contexts()})
