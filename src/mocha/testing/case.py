"""A case: an op and how to make inputs for it. Data only, so that every backend is held to the same cases."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.ops import Array, Op, Shape

Maker = Callable[[np.random.Generator], Array]
"""Makes one input: floating-point numbers as float64, or labels of whatever type."""


@dataclasses.dataclass(frozen=True)
class Case:
    """An op with inputs that lead into one of its branches.

    Args:
        about: which branch, in a few words.
        op: the op.
        inputs: for each input a maker, or a shape, which stands for normally distributed numbers.
        checked: the inputs whose gradients are held against differences; None for all that are differentiable, () where
            there is nothing to hold them against: at ties and infinities.
        parameters: the inputs that a program keeps in the backend's store, as a net does with filters.
    """

    about: str
    op: Op
    inputs: tuple[Shape | Maker, ...]
    checked: tuple[int, ...] | None = None
    parameters: tuple[int, ...] = ()

    @property
    def id(self) -> str:
        """The case's name: that of the op and the branch."""
        return f"{self.op.name}: {self.about}"

    def __str__(self) -> str:
        return self.id

    def arrays(self, seed: int = 0, dtype: npt.DTypeLike = np.float64) -> tuple[Array, ...]:
        """The inputs, the same ones for the same seed: drawn in float64, then rounded to the type (see `rounded`)."""
        rng = np.random.default_rng(seed)
        made = [rng.standard_normal(entry) if isinstance(entry, tuple) else entry(rng) for entry in self.inputs]
        return rounded(self.op, made, dtype)


def rounded(op: Op, arrays: Sequence[Array], dtype: npt.DTypeLike) -> tuple[Array, ...]:
    """The inputs of an op in another floating-point type. Whole numbers and what `is_number` names stay the same."""
    converted = []
    for i, array in enumerate(arrays):
        stays = array.dtype.kind != "f" or is_number(op, i, arrays)
        converted.append(array if stays else np.asarray(array, dtype))
    return tuple(converted)


def is_number(op: Op, index: int, arrays: Sequence[Array]) -> bool:
    """Whether an input is a number of the parameter block (a rate, a seed): float64, without axes or a gradient."""
    return arrays[index].ndim == 0 and index not in op.differentiable(len(arrays))


def away(*shape: int, kink: float = 0.0, by: float = 0.1) -> Maker:
    """Normally distributed numbers, pushed away from a kink so that none is nearer than `by`."""

    def make(rng: np.random.Generator) -> Array:
        x = rng.standard_normal(shape)
        return np.asarray(kink + x + np.where(x < 0, -by, by))

    return make


def between(low: float, high: float, *shape: int) -> Maker:
    """Evenly distributed numbers from low to high."""
    return lambda rng: np.asarray(rng.uniform(low, high, shape))


def apart(*shape: int, gap: float = 0.1) -> Maker:
    """Numbers that are all different, in random order: neighbours in size are `gap` apart."""

    def make(rng: np.random.Generator) -> Array:
        n = int(np.prod(shape))
        return (gap * (rng.permutation(n) - n // 2)).reshape(shape)

    return make


def coarse(*shape: int, levels: int = 3) -> Maker:
    """Whole numbers of few levels around 0, so that ties are common."""
    return lambda rng: rng.integers(-(levels // 2), levels - levels // 2, shape).astype(np.float64)


def labels(*shape: int, classes: int, dtype: npt.DTypeLike = np.float64) -> Maker:
    """Class numbers from 0 to classes - 1."""
    return lambda rng: rng.integers(0, classes, shape).astype(dtype)


def number(value: float) -> Maker:
    """A float64 number without axes: a rate, an iteration, a seed."""
    return lambda rng: np.asarray(value, np.float64)


def fixed(values: Any, dtype: npt.DTypeLike = np.float64) -> Maker:
    """These numbers."""
    return lambda rng: np.array(values, dtype)


def spoiled(maker: Shape | Maker, value: float, *places: int) -> Maker:
    """Another maker's numbers (or normally distributed ones), with one value at some places in row-major order."""

    def make(rng: np.random.Generator) -> Array:
        x = np.array(rng.standard_normal(maker) if isinstance(maker, tuple) else maker(rng))
        x.reshape(-1)[list(places)] = value
        return x

    return make
