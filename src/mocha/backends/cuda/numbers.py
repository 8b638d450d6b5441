"""Numbers of 16 bits on the host, where NumPy has one of the two types."""

from __future__ import annotations

import numpy as np

from mocha.backends.cuda.device import Bytes
from mocha.graph import Half, Stored
from mocha.ops import Array


def broadened(memory: Bytes, stored: Stored) -> Array:
    """What lies in memory, as float32."""
    found = from_half(memory.view(np.uint16), stored.half)
    return found if stored.factor == 1 else found / np.float32(stored.factor)


def narrowed(values: Array, stored: Stored) -> Array:
    """Float32 values as they are to lie in memory: row-major words of 16 bits."""
    return to_half(np.ascontiguousarray(values, np.float32) * np.float32(stored.factor), stored.half)


def from_half(words: Array, half: Half) -> Array:
    """Words of 16 bits as float32."""
    if half is Half.FLOAT16:
        return words.view(np.float16).astype(np.float32)
    return (words.astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_half(values: Array, half: Half) -> Array:
    """Float32 values rounded to the nearest numbers of 16 bits; of two, to the even one."""
    if half is Half.FLOAT16:
        with np.errstate(over="ignore"):
            return values.astype(np.float16).view(np.uint16)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)
