"""Neurons: the activation that a layer applies to its output. One small class each."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import TypeAlias

from mocha import ops
from mocha.errors import ConfigError
from mocha.graph import Graph, Value


class Neuron(ABC):
    """An activation function."""

    @abstractmethod
    def lower(self, g: Graph, x: Value) -> Value:
        """Write the activation of x into the graph."""


@dataclasses.dataclass(frozen=True)
class Identity(Neuron):
    """y = x."""

    def lower(self, g: Graph, x: Value) -> Value:
        """Nothing to do."""
        return x


@dataclasses.dataclass(frozen=True)
class ReLU(Neuron):
    """y = max(x, epsilon).

    Args:
        epsilon: the smallest output (a floor, not a slope).
    """

    epsilon: float = 0.0

    def lower(self, g: Graph, x: Value) -> Value:
        """One op."""
        return g(ops.ReLU(self.epsilon), x)


@dataclasses.dataclass(frozen=True)
class LReLU(Neuron):
    """y = x where x > 0, else slope x.

    Args:
        slope: factor of the negative side, >= 0.
    """

    slope: float = 0.01

    def __post_init__(self) -> None:
        if not self.slope >= 0:
            raise ConfigError(f"Neurons.LReLU: slope is {self.slope}; expected a number >= 0.")

    def lower(self, g: Graph, x: Value) -> Value:
        """One op."""
        return g(ops.LeakyReLU(self.slope), x)


@dataclasses.dataclass(frozen=True)
class Sigmoid(Neuron):
    """y = 1 / (1 + exp(-x))."""

    def lower(self, g: Graph, x: Value) -> Value:
        """One op."""
        return g(ops.Sigmoid(), x)


@dataclasses.dataclass(frozen=True)
class Tanh(Neuron):
    """y = tanh x."""

    def lower(self, g: Graph, x: Value) -> Value:
        """One op."""
        return g(ops.Tanh(), x)


@dataclasses.dataclass(frozen=True)
class Exponential(Neuron):
    """y = exp(x)."""

    def lower(self, g: Graph, x: Value) -> Value:
        """One op."""
        return g(ops.Exp(), x)


class Neurons:
    """The neurons under Mocha's names: `Neurons.ReLU()` and so on."""

    Identity: TypeAlias = Identity
    ReLU: TypeAlias = ReLU
    LReLU: TypeAlias = LReLU
    Sigmoid: TypeAlias = Sigmoid
    Tanh: TypeAlias = Tanh
    Exponential: TypeAlias = Exponential


def check_neuron(owner: str, neuron: object) -> None:
    """The property must be a neuron.

    Raises:
        ConfigError: it is something else; a class in place of its instance is the usual slip.
    """
    if not isinstance(neuron, Neuron):
        hint = f" Write {neuron.__name__}()." if isinstance(neuron, type) and issubclass(neuron, Neuron) else ""
        raise ConfigError(f"{owner}: neuron is {neuron!r}; expected a neuron such as Neurons.ReLU().{hint}")
