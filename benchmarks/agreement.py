"""Whether the contestants give the same answers: who does not is not timed."""

from __future__ import annotations

import numpy as np

from benchmarks.contestants import Answer
from benchmarks.works import Weights

SCORES = 1e-4
"""Largest error of a score: relative to it, or to the root of the mean square of all, if that is larger."""
LOSS = 1e-4
"""Largest relative error of a loss."""
CHANGE = 3e-3
"""Largest relative error of what two steps changed in a parameter, by Euclidean norm; what rounding the parameter to
float32 does is taken off.

It cannot be much smaller: where two cells of a pooling window are equal but for rounding, or the input of a rectified
unit is 0 but for rounding, two right programs send one gradient different ways. A sum over n positions moves by about
1 / sqrt(n) of itself then, in one channel. A position left out or counted twice moves it as much in all channels."""
FACTOR = 4.0
"""In a deep net that happens so often that PyTorch in float32 is not within `CHANGE` of itself in float64; and where
normalisation follows, the gradient of a shift is a sum of large numbers that nearly cancel. An error of so many times
PyTorch's, not compiled and in the worse order of memory, passes too."""


def scores_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The error that `SCORES` bounds; infinite for other shapes and for what is not a number."""
    if found.shape != expected.shape:
        return np.inf
    a, b = found.astype(np.float64), expected.astype(np.float64)
    return _worst(np.abs(a - b), np.maximum(np.abs(b), np.sqrt(np.mean(b**2))))


def loss_error(found: Answer, expected: Answer) -> float:
    """The error that `LOSS` bounds."""
    a, b = np.array(found.losses), np.array(expected.losses)
    return _worst(np.abs(a - b), np.abs(b))


def change_error(found: Answer, expected: Answer, start: Weights) -> tuple[float, str]:
    """The error that `CHANGE` bounds, the largest of all parameters', and whose it is."""
    errors = {}
    for key, first in start.items():
        w = first.astype(np.float64)
        a, b = found.weights[key] - w, expected.weights[key] - w
        rounding = 4 * np.finfo(np.float32).eps * np.abs(w)
        excess = np.linalg.norm(np.maximum(np.abs(a - b) - rounding, 0.0))
        errors[key] = _worst(excess, np.linalg.norm(b))
    worst = max(errors, key=lambda key: errors[key])
    return errors[worst], worst


def _worst(errors: np.ndarray, scale: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        relative = np.where(errors == 0, 0.0, errors / scale)
    return float(relative.max(initial=0.0)) if not np.isnan(relative).any() else np.inf
