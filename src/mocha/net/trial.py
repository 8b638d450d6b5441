"""Layers on arrays, without a net of one's own: for trying things out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.backends import AbstractBackend, DefaultBackend
from mocha.layers import Layer, MemoryDataLayer
from mocha.net.net import Net
from mocha.ops import Array


def run_layers(
    *layers: Layer,
    phase: str = "train",
    seed: int | None = None,
    backend: AbstractBackend | None = None,
    **blobs: npt.ArrayLike,
) -> dict[str, Any]:
    """Run layers once on arrays, and give back what they made.

    Args:
        *layers: in any order; parameters start from their initializers.
        phase: "train" or "test".
        seed: of initial parameters and of dropout.
        backend: where to run; a new one, the best here, unless told. Parameters stay on one that is given.
        **blobs: name of a bottom -> array, with the examples along the first axis. The layers compute in float32 if an
            array of it is among them, else in float64.

    Returns:
        name of each blob that the layers made or changed -> array, name of each loss layer -> its loss, and
        ``<layer>-<key>`` -> what layers report.

    Examples:
        >>> run_layers(PowerLayer(power=2, bottoms=["x"], tops=["y"]), x=[[1, 2, 3]])
        {'y': array([[1., 4., 9.]])}
    """
    if backend is None:
        with DefaultBackend() as own:
            return run_layers(*layers, phase=phase, seed=seed, backend=own, **blobs)
    arrays: dict[str, Array] = {name: np.asarray(array) for name, array in blobs.items()}
    single = any(array.dtype == np.float32 for array in arrays.values())
    data = [
        MemoryDataLayer(
            name=f"array {name}",
            data=[array.astype(np.float32 if single else np.float64)],
            tops=[name],
            batch_size=len(array) if array.ndim else 0,
        )
        for name, array in arrays.items()
    ]
    with Net("trial", backend, [*data, *layers], seed=seed) as net:
        net.forward(phase=phase)
        made = [name for layer in layers for name in (layer.bottoms if layer.in_place else layer.tops)]
        return {**{name: net.blobs[name] for name in dict.fromkeys(made)}, **net.losses(), **net.statistics()}
