"""The smallest net that learns something: for examples and first tries."""

from __future__ import annotations

import numpy as np

from mocha.layers import InnerProductLayer, Layer, MemoryDataLayer, SquareLossLayer


def line() -> list[Layer]:
    """One unit that is to learn the line y = 3 x + 1 from 20 points, all in one batch.

    Returns:
        the layers `data`, `ip` and `loss`.
    """
    x = np.linspace(-1, 1, 20).reshape(20, 1)
    return [
        MemoryDataLayer(name="data", data=[x, 3 * x + 1], tops=["x", "target"], batch_size=20),
        InnerProductLayer(name="ip", output_dim=1, bottoms=["x"], tops=["y"]),
        SquareLossLayer(name="loss", bottoms=["y", "target"]),
    ]
