"""Random numbers that depend on a name and a count, never on what was drawn before.

Every stream is the counter-based generator Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
as easy as 1, 2, 3", SC 2011). Its key is (seed, stream), its counter is (element, count). So an element of a dropout
mask is a pure function of the seed, the layer's name, how many training passes went before, and its place in the
blob: every backend draws the same numbers, in any order, on any number of threads, and a resumed run draws what the
uninterrupted one would have.
"""

from __future__ import annotations

import math
import os
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.errors import ConfigError

DEFAULT_SEED = 12345678
"""The seed of a net that names none: the one of Mocha's own examples."""

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox(counter: npt.NDArray[np.uint32], key: tuple[int, int]) -> npt.NDArray[np.uint32]:
    """Philox 4x32-10: ten rounds over each row of `counter`.

    Args:
        counter: (n, 4) words.
        key: two words.

    Returns:
        (n, 4) words.
    """
    c0, c1, c2, c3 = (counter[:, i].astype(np.uint64) for i in range(4))
    k0, k1 = (int(word) & 0xFFFFFFFF for word in key)
    for _ in range(10):
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0 = (product1 >> _SHIFT) ^ c1 ^ np.uint64(k0)
        c1 = product1 & _LOW
        c2 = (product0 >> _SHIFT) ^ c3 ^ np.uint64(k1)
        c3 = product0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def words(seed: int, stream: int, count: int, n: int) -> npt.NDArray[np.uint32]:
    """The first `n` 32-bit words of a stream: element i is word i mod 4 of block i div 4.

    Args:
        seed: 0 to 2**32 - 1.
        stream: 0 to 2**32 - 1, see `stream_of`.
        count: which draw of the stream this is, 0 to 2**64 - 1: a training pass, an epoch.
        n: how many.
    """
    blocks = np.arange(-(-n // 4), dtype=np.uint64)
    counter = np.empty((blocks.size, 4), dtype=np.uint32)
    counter[:, 0] = blocks & _LOW
    counter[:, 1] = blocks >> _SHIFT
    counter[:, 2] = count & 0xFFFFFFFF
    counter[:, 3] = count >> 32
    return philox(counter, (seed, stream)).reshape(-1)[:n]


def uniform(seed: int, stream: int, count: int, n: int) -> npt.NDArray[np.float64]:
    """`n` numbers in [0, 1) with 53 random bits each, made of two words each."""
    pair = words(seed, stream, count, 2 * n).reshape(n, 2).astype(np.uint64)
    bits = ((pair[:, 0] >> np.uint64(5)) << np.uint64(26)) | (pair[:, 1] >> np.uint64(6))
    return bits.astype(np.float64) * 2.0**-53


def normal(seed: int, stream: int, count: int, n: int) -> npt.NDArray[np.float64]:
    """`n` numbers of the standard normal distribution (Box and Muller, 1958)."""
    half = -(-n // 2)
    u = uniform(seed, stream, count, 2 * half).reshape(half, 2)
    radius = np.sqrt(-2.0 * np.log1p(-u[:, 0]))
    angle = 2.0 * np.pi * u[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:n]


def permutation(seed: int, stream: int, count: int, n: int) -> npt.NDArray[np.intp]:
    """A random order of 0 ... n-1."""
    pair = words(seed, stream, count, 2 * n).reshape(n, 2).astype(np.uint64)
    return np.argsort((pair[:, 0] << _SHIFT) | pair[:, 1], kind="stable")


def stream_of(*names: Any) -> int:
    """The stream that belongs to a name, the same in every process: a checksum of its parts."""
    return zlib.crc32("/".join(str(name) for name in names).encode())


def checked_seed(seed: int | None) -> int:
    """A seed, checked; None means `MOCHA_SEED` from the environment, or `DEFAULT_SEED`.

    Raises:
        ConfigError: it is not a whole number from 0 to 2**32 - 1.
    """
    origin = "seed"
    value: Any = seed
    if value is None:
        value = os.environ.get("MOCHA_SEED", DEFAULT_SEED)
        origin = "MOCHA_SEED"
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if not 0 <= number < 2**32 or (isinstance(value, float) and value != number):
        raise ConfigError(f"{origin} is {value!r}; expected a whole number from 0 to {2**32 - 1}.")
    return number


class Draw:
    """One draw of a stream, ready to be asked for numbers: what an initializer gets.

    Args:
        seed: 0 to 2**32 - 1.
        stream: see `stream_of`.
        count: which draw of the stream.
    """

    def __init__(self, seed: int, stream: int, count: int = 0) -> None:
        self._at = seed, stream, count

    def uniform(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> npt.NDArray[np.float64]:
        """Numbers in [low, high)."""
        return low + (high - low) * uniform(*self._at, math.prod(shape)).reshape(shape)

    def normal(self, shape: tuple[int, ...], mean: float = 0.0, std: float = 1.0) -> npt.NDArray[np.float64]:
        """Normally distributed numbers."""
        return mean + std * normal(*self._at, math.prod(shape)).reshape(shape)
