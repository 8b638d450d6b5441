"""Runs the native kernels on arrays of exactly their size, so that a sanitizer sees each access beyond one.

    tests/native/sanitize.sh [folder for the build]

A program lays its values side by side in one block of memory, where a kernel that reads or writes a little too far
meets another value and nothing is noticed. Here each value has an array of its own instead, filled with NaN, which
also shows an element that is read before it was written, or not written at all. Results are held against the
reference as always. A finding of the sanitizers ends the process.

The sanitizers know nothing of loads and stores under a mask, of which the last part of each array is made on AVX2 and
AVX-512. Therefore all is run a second time with arrays that end where a page without access begins: the machine itself
ends the process then. It needs no sanitizer, and can be had alone, with any build: `sanitize.py --guarded LIBRARY`.
"""

import argparse
import ctypes
import dataclasses
import importlib.util
import itertools
import math
import mmap
import os
import sys
import time

import numpy as np

CHOSEN = argparse.ArgumentParser(description=__doc__.splitlines()[0])
CHOSEN.add_argument("library", help="the compiled module, with sanitizers")
CHOSEN.add_argument("--guarded", action="store_true", help="end arrays at a page without access")
CHOSEN.add_argument("--threads", type=int, nargs="+", default=[1, 3])


def load(path):
    """Make a file the module mocha._native, whatever is installed."""
    spec = importlib.util.spec_from_file_location("mocha._native", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["mocha._native"] = module
    spec.loader.exec_module(module)
    return module


def guarded_zeros(shape, dtype):
    """An array that ends where a page without access begins."""
    size, page = math.prod(shape) * np.dtype(dtype).itemsize, mmap.PAGESIZE
    room = -(-size // page) * page
    pages = mmap.mmap(-1, room + page)
    whole = np.frombuffer(pages, np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(whole.ctypes.data + room), ctypes.c_size_t(page), 0):
        raise OSError(ctypes.get_errno(), "mprotect")
    return whole[room - size : room].view(dtype).reshape(shape)


def scattered_backend(phase, zeros):
    """A native backend whose programs keep each value in an array of its own, made by `zeros`.

    All programs are run as in that phase.
    """
    from mocha.backends import host
    from mocha.backends.lowering.calls import is_channels_last
    from mocha.backends.native import NativeBackend, executable
    from mocha.backends.native.executable import NativeExecutable
    from mocha.graph import Kind

    # no room for alignment around parameters and packed filters either
    host.aligned_zeros = executable.aligned_zeros = zeros

    class Scattered(NativeExecutable):
        def __init__(self, program, backend):
            self._own = {}
            self._seen_as = {node.outputs[0]: node.inputs[0] for node in program.nodes if node.op.is_view}
            super().__init__(program, backend)

        def _home(self, value):
            while value in self._seen_as:
                value = self._seen_as[value]
            return self._aliases.get(value, value)

        def _array(self, value):
            if value not in self._own:
                self._own[value] = zeros((value.spec.nbytes,), np.uint8)
                self._own[value][...] = 0xFF
            return self._own[value]

        def _place(self, value):
            home = self._home(value)
            return (self._array(home).ctypes.data, -1, 0) if home.kind is Kind.COMPUTED else super()._place(home)

        def _view(self, value):
            home = self._home(value)
            if home.kind is not Kind.COMPUTED:
                return super()._view(value)
            flat = self._array(home).view(value.dtype)
            if is_channels_last(value, self.program.layouts):
                n, c, h, w = value.shape
                return flat.reshape(n, h, w, c).transpose(0, 3, 1, 2)
            return flat.reshape(value.shape)

        def checked_feeds(self, feeds):
            fed = {value: zeros(value.shape, value.dtype) for value in self.program.inputs}
            for value, array in super().checked_feeds(feeds).items():
                fed[value][...] = array
            return fed

    class Backend(NativeBackend):
        def compile(self, program):
            return Scattered(dataclasses.replace(program, phase=phase), self)

    return Backend()


def cases():
    """The catalogue, and the shapes that straddle blocking sizes, with whether tiles are taken wherever they can be."""
    from tests.backends.native_shapes import BY_TILES, CONVOLUTIONS, DENSE, SPOILED, adjoints, lengths, poolings

    from mocha.testing import CASES

    swept = [case for table in (CONVOLUTIONS, DENSE) for group in table.values() for case in group]
    turned = [case for group in CONVOLUTIONS.values() for case in adjoints(group)]
    for case in (*CASES, *SPOILED, *swept, *turned, *poolings(), *lengths()):
        yield case, False
    tiled = [case for group in BY_TILES.values() for case in (*group, *adjoints(group))]
    for case in (*SPOILED, *tiled):
        yield case, True


def main():
    chosen = CHOSEN.parse_args()
    library = load(chosen.library)
    from tests.backends.native_shapes import TILES_TOLERANCE

    from mocha.backends import set_num_threads
    from mocha.backends.native import ways
    from mocha.graph import Phase
    from mocha.testing import check_agreement

    all_cases = list(cases())
    worth = ways._WORTH
    zeros = guarded_zeros if chosen.guarded else np.zeros
    wrong = 0
    for isa in library.instruction_sets():
        os.environ["MOCHA_NATIVE_ISA"] = isa
        for threads in chosen.threads:
            set_num_threads(threads)
            started = time.monotonic()
            runs = 0
            for (case, tiles), dtype, phase in itertools.product(all_cases, ("float32", "float64"), Phase):
                if phase is Phase.TEST and not case.parameters:
                    continue  # only what is done with parameters depends on the phase
                if tiles and dtype == "float64":
                    continue
                ways._WORTH = math.inf if tiles else worth
                # the last line before a finding tells which case it was
                print(f"\r\033[K{isa}, {threads} threads: {case.id}, {dtype}, {phase.value}", end="", file=sys.stderr)
                sys.stderr.flush()
                runs += 1
                with scattered_backend(phase, zeros) as backend:
                    try:
                        check_agreement(case, backend, dtype, tolerance=TILES_TOLERANCE if tiles else None)
                    except AssertionError as error:
                        wrong += 1
                        print(f"\n{error}", file=sys.stderr)
            seconds = time.monotonic() - started
            print(f"\r\033[K{isa}, {threads} threads: {runs} runs, {seconds:.0f} s", flush=True)
    print(f"{wrong} wrong results, no access beyond an array found")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
