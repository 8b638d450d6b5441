"""The native backend: the package's own C++ library, built when there is a compiler at install.

Its environment variables: `OMP_NUM_THREADS` for the number of threads, `MOCHA_NATIVE_ISA` to force an instruction set
(avx512, avx2, portable).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mocha.backends.base import AbstractBackend, Executable
from mocha.backends.host import HostStore
from mocha.errors import BackendUnavailable, ConfigError, StateError, did_you_mean
from mocha.graph import Program

_SPINS = 3000
"""How often a thread that waits for others looks again before it sleeps: some 0.1 ms.

GCC's OpenMP takes a hundred times as many unless told. A program alone on its processors does not notice the
difference; two that share them would wait for each other's waiting threads, and run many times slower than in turns.
"""


@contextmanager
def _patience() -> Iterator[None]:
    """While the library is loaded, the environment tells GCC's OpenMP how long threads wait, unless it does already."""
    wishes = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    if any(os.environ.get(name) for name in wishes):
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = str(_SPINS)
    try:
        yield
    finally:
        del os.environ["GOMP_SPINCOUNT"]


def _library() -> Any:
    """The compiled module.

    Raises:
        BackendUnavailable: it was not built, or cannot be loaded.
    """
    try:
        with _patience():
            return importlib.import_module("mocha._native")
    except ImportError as error:
        raise BackendUnavailable(
            f"the native library is not there ({error}). It is built when mocha-dl is installed and a C++17 compiler "
            "is found: "
            "install one (on Debian: apt install g++) and install mocha-dl again."
        ) from error


def instruction_set(library: Any) -> str:
    """The instruction set to use: the one that `MOCHA_NATIVE_ISA` names, or the best.

    Raises:
        ConfigError: the named one does not work here.
    """
    works: list[str] = library.instruction_sets()
    asked = os.environ.get("MOCHA_NATIVE_ISA", "")
    if asked and asked not in works:
        raise ConfigError(f"MOCHA_NATIVE_ISA is {asked!r}, which does not work here. {did_you_mean(asked, works)}")
    return asked or works[0]


class _Threads:
    """What is known about the threads of native programs, for the whole process."""

    count = 0
    """How many; 0 until it is known."""
    process = 0
    """The process in which programs first ran on several threads; 0 until they have. A fork inherits the number."""


def set_num_threads(n: int) -> None:
    """Use so many threads in native programs from now on. The results depend on it in the last bits.

    Args:
        n: at least 1.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ConfigError(f"set_num_threads: received {n!r}; expected a whole number >= 1.")
    _Threads.count = n


def get_num_threads() -> int:
    """How many threads native programs use: what was set, or `OMP_NUM_THREADS`, or one for each processor."""
    return _Threads.count or int(_library().max_threads())


class NativeBackend(AbstractBackend):
    """Own SIMD kernels in C++, on all processors, without Python inside."""

    name = "native"
    channels_last = True
    store: HostStore

    def __init__(self) -> None:
        super().__init__()
        self.library = _library()
        self.instruction_set = instruction_set(self.library)
        self._threads = get_num_threads()
        self._asked = self.library.Executor(self.instruction_set)  # runs nothing: it only knows which kernels there are
        self._known: dict[tuple[str, int], bool] = {}

    @classmethod
    def describe(cls) -> str:
        """Instruction set and threads."""
        library = _library()
        return f"{instruction_set(library)} kernels, {get_num_threads()} threads"

    @property
    def threads(self) -> int:
        """The number of threads in use."""
        return _Threads.count or self._threads

    def new_store(self) -> HostStore:
        """Host memory."""
        return HostStore()

    def compile(self, program: Program) -> Executable:
        """Lay out memory, choose kernels."""
        from mocha.backends.native.executable import NativeExecutable

        return NativeExecutable(program, self)

    def has_kernel(self, name: str, element_bytes: int) -> bool:
        """Whether the library has a kernel of that name for elements of so many bytes."""
        key = name, element_bytes
        if key not in self._known:
            self._known[key] = self._asked.add(name, element_bytes, [], [], [], [])
        return self._known[key]

    def check_process(self) -> None:
        """Refuse to run in a fork of a process whose threads it would wait for: they do not survive it.

        Raises:
            StateError: native programs ran on several threads before the process was forked.
        """
        if self.threads == 1:
            return
        _Threads.process = _Threads.process or os.getpid()
        if _Threads.process != os.getpid():
            raise StateError(
                "this process was forked after native programs had run on several threads, and these did not survive "
                "that. Fork before the first run, start processes by 'spawn', or use set_num_threads(1)."
            )
