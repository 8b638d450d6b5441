"""What the machine can do in practice: the most arithmetic, and the most memory traffic."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.ops.ours import applied
from mocha.backends import AbstractBackend
from mocha.ops import InnerProduct

EXTENT = 1536
"""Rows and columns of the matrices that are multiplied."""
COPIED = 2**28
"""Bytes that are copied: far more than caches hold."""


def flops(backend: AbstractBackend, repeats: int = 10) -> tuple[float, str]:
    """Operations a second in float32: the best of a large product here and by NumPy's library; and which it was."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((EXTENT, EXTENT), np.float32) for _ in range(2))
    ours = applied(backend, InnerProduct(), {"x": x, "w": w}, stored=("w",))
    own = min(ours.seconds() for _ in range(repeats))
    ours.close()
    out = np.empty((EXTENT, EXTENT), np.float32)
    library = min(_seconds(lambda: np.matmul(x, w, out=out)) for _ in range(repeats))
    seconds, which = min((own, f"mocha {backend.name}"), (library, "NumPy's library"))
    return 2 * EXTENT**3 / seconds, f"a product of {EXTENT}x{EXTENT} matrices by {which}"


def bandwidth(threads: int, repeats: int = 10) -> tuple[float, str]:
    """Bytes a second, read and written, of a large copy by so many threads."""
    source, target = np.ones(COPIED, np.uint8), np.zeros(COPIED, np.uint8)
    cuts = [slice(COPIED * i // threads, COPIED * (i + 1) // threads) for i in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def copy() -> None:
            list(pool.map(lambda cut: np.copyto(target[cut], source[cut]), cuts))

        copy()
        seconds = min(_seconds(copy) for _ in range(repeats))
    return 2 * COPIED / seconds, f"a copy of {COPIED >> 20} MiB by {threads} threads"


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
