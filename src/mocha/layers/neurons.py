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
    """y = x.

    Examples:
        >>> layer = PoolingLayer(neuron=Neurons.Identity(), bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[[[-2, -1, 0, 1, 2]]]])["y"].ravel()
        array([-2., -1.,  0.,  1.,  2.])
    """

    def lower(self, g: Graph, x: Value) -> Value:
        """Nothing to do."""
        return x


@dataclasses.dataclass(frozen=True)
class ReLU(Neuron):
    """y = max(x, epsilon).

    Args:
        epsilon: the smallest output (a floor, not a slope).

    Examples:
        >>> layer = PoolingLayer(neuron=Neurons.ReLU(), bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[[[-2, -1, 0, 1, 2]]]])["y"].ravel()
        array([0., 0., 0., 1., 2.])
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

    Examples:
        >>> layer = PoolingLayer(neuron=Neurons.LReLU(0.1), bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[[[-2, -1, 0, 1, 2]]]])["y"].ravel()
        array([-0.2, -0.1,  0. ,  1. ,  2. ])
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
    """y = 1 / (1 + exp(-x)).

    Examples:
        >>> layer = PoolingLayer(neuron=Neurons.Sigmoid(), bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[[[-2, -1, 0, 1, 2]]]])["y"].ravel()
        array([0.1192, 0.2689, 0.5   , 0.7311, 0.8808])
    """

    def lower(self, g: Graph, x: Value) -> Value:
        """One op."""
        return g(ops.Sigmoid(), x)


@dataclasses.dataclass(frozen=True)
class Tanh(Neuron):
    """y = tanh x.

    Examples:
        >>> layer = PoolingLayer(neuron=Neurons.Tanh(), bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[[[-2, -1, 0, 1, 2]]]])["y"].ravel()
        array([-0.964 , -0.7616,  0.    ,  0.7616,  0.964 ])
    """

    def lower(self, g: Graph, x: Value) -> Value:
        """One op."""
        return g(ops.Tanh(), x)


@dataclasses.dataclass(frozen=True)
class Exponential(Neuron):
    """y = exp(x).

    Examples:
        >>> layer = PoolingLayer(neuron=Neurons.Exponential(), bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[[[-2, -1, 0, 1, 2]]]])["y"].ravel()
        array([0.1353, 0.3679, 1.    , 2.7183, 7.3891])
    """

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
