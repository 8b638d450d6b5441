"""What is raced: something that trains, or something that predicts."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.works import Weights

if TYPE_CHECKING:
    import numpy as np


class Absent(Exception):
    """A contestant cannot take part; the message says why."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What two training steps without dropout, on the first two batches, gave.

    Attributes:
        losses: before the first step, and before the second.
        weights: after the second.
    """

    losses: tuple[float, float]
    weights: Weights


class Trainer(ABC):
    """Trains by momentum SGD with decay, over and over the same batches."""

    @abstractmethod
    def answer(self) -> Answer:
        """Two steps from the initial weights, without dropout; does not touch the training that `step` goes on with."""

    @abstractmethod
    def step(self) -> None:
        """One iteration, with dropout."""

    @abstractmethod
    def loss(self) -> float:
        """The loss of a batch, now."""

    def close(self) -> None:
        """Give back what it holds."""


class Predictor(ABC):
    """Computes the scores of a batch."""

    @abstractmethod
    def predict(self) -> object:
        """The scores of the batch that it was made for: an array, valid until the next call, or the program's own."""

    def scores(self) -> np.ndarray:
        """The same as an array, which lasts."""
        return self.predict().copy()

    def close(self) -> None:
        """Give back what it holds."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A contestant that may take part.

    Attributes:
        name: in the tables.
        ours: whether it is a backend of Mocha.
        make: makes the trainer or predictor, or raises `Absent`.
        plain: whether its errors show what float32 can do: PyTorch, not compiled, in either order of memory.
    """

    name: str
    ours: bool
    make: Callable[[], Trainer | Predictor]
    plain: bool = False
