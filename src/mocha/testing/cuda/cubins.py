"""Every own kernel compiled to machine code of GPUs, which takes NVIDIA's run-time compiler and no GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from mocha.backends.cuda.nvrtc import KERNELS, compile_kernels

ARCHITECTURES = (90, 80)
"""Hopper and Ampere."""

_ENTRY = re.compile(rb"[a-z0-9_]+_(?:f32|f64|f16|bf16|[1248])(?=\0)")


class Cubin(NamedTuple):
    """The machine code of one file of kernels for one architecture.

    Attributes:
        family: the file.
        architecture: 90 for compute capability 9.0.
        kernels: how many are in it.
        nbytes: its size.
    """

    family: str
    architecture: int
    kernels: int
    nbytes: int


SUFFIXES = ("f32", "f64", "f16", "bf16")
"""Types that kernels are compiled for one by one, when a program needs them."""


def compile_for(architecture: int, processes: int | None = None) -> int:
    """Compile them for one GPU into the cache, type by type, in several processes.

    Returns:
        how many files were compiled, each for each type.
    """
    work = [(path.stem, suffix) for path in sorted(KERNELS.glob("*.cu")) for suffix in SUFFIXES]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return sum(pool.map(_compile_one, *zip(*work, strict=True), [architecture] * len(work)))


def _compile_one(family: str, suffix: str, architecture: int) -> bool:
    return bool(compile_kernels((KERNELS / f"{family}.cu").read_text(), family, architecture, suffix))


def compile_all() -> Iterator[Cubin]:
    """Compile them, as many at a time as there are processors.

    Raises:
        BackendUnavailable: the compiler is not installed.
        MochaError: it refuses a file.
    """
    work = [(path.stem, architecture) for path in sorted(KERNELS.glob("*.cu")) for architecture in ARCHITECTURES]
    with ProcessPoolExecutor(None, get_context("spawn")) as pool:
        yield from pool.map(_compile_whole, *zip(*work, strict=True))


def _compile_whole(family: str, architecture: int) -> Cubin:
    code = compile_kernels((KERNELS / f"{family}.cu").read_text(), family, architecture)
    kernels = {name for name in _ENTRY.findall(code) if not name.startswith(b"_")}
    return Cubin(family, architecture, len(kernels), len(code))
