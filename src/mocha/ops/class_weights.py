"""Weights of classes: what a position counts in a loss with hard labels, by the class that it has."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.errors import ConfigError, ShapeError
from mocha.ops.base import Array, Shape, Spec

NORMALIZATIONS = ("local", "global", "no")
"""How weights are scaled before use; see `ClassWeights`."""


@dataclasses.dataclass(frozen=True)
class ClassWeights:
    """Weights >= 0 of the classes: one for each class, or for each class and position.

    Scores of shape (N, ..., C, ...) take weights of shape (C,), which count at every position; of one example's shape,
    the scores' without N; or of the scores' own.

    Args:
        numbers: the weights in row-major order.
        shape: their shape.
        normalize: "local" scales the weights of each position so that their mean over the classes is 1, "global" those
            of each example so that their mean over all its elements is 1; "no" leaves them as they are.
    """

    numbers: tuple[float, ...]
    shape: Shape
    normalize: str = "local"

    @classmethod
    def of(cls, array: npt.ArrayLike, normalize: str = "local") -> ClassWeights:
        """The weights that an array holds."""
        numbers = np.asarray(array, np.float64)
        return cls(tuple(numbers.reshape(-1).tolist()), numbers.shape, normalize)

    def fit(self, scores: Spec, axis: int) -> Array:
        """The weights, scaled, in float64, with as many axes as the scores; axes of extent 1 count for every place.

        Raises:
            ShapeError: the shape is none of the three.
            ConfigError: all weights of a position are 0, or of an example, so that they cannot be scaled.
        """
        return _fit(self, scores.shape, axis % scores.ndim)

    def at(self, places: tuple[Array, Array], scores: Spec, axis: int) -> Array:
        """The weights of some elements: positions and classes, given the scores as (P, C), the class axis last."""
        everywhere = np.broadcast_to(self.fit(scores, axis), scores.shape)
        rows = np.moveaxis(everywhere, axis, -1).reshape(-1, scores.shape[axis])
        return np.asarray(rows[places])

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.shape))} {self.normalize}"


@functools.lru_cache(maxsize=32)
def _fit(weights: ClassWeights, shape: Shape, axis: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    w = np.array(weights.numbers, np.float64).reshape(weights.shape)
    if axis and weights.shape == (shape[axis],):
        w = w.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    elif axis and weights.shape == shape[1:]:
        w = w[np.newaxis]
    elif not axis or weights.shape != shape:
        raise ShapeError(
            f"weights of classes have the shape {weights.shape}, the scores {shape} with the classes along axis "
            f"{axis}; expected ({shape[axis]},), one for each class, or {shape[1:]}, one example's shape, or {shape}, "
            "and classes along another axis than the batch."
        )
    if weights.normalize != "no":
        over = (axis,) if weights.normalize == "local" else tuple(range(1, w.ndim))
        total = w.sum(axis=over, keepdims=True)
        if not (total > 0).all():
            where = "position" if weights.normalize == "local" else "example"
            raise ConfigError(
                f"all weights of classes are 0 at one {where}; expected one > 0, because normalize is "
                f"{weights.normalize!r}."
            )
        w = w * (np.prod([w.shape[a] for a in over]) / total)
    w.flags.writeable = False
    return w
