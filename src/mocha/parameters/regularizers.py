"""Penalties on parameters. One small class each, lowered to ops on the gradient."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

from mocha.graph import Graph, Value
from mocha.ops import L1Decay, L2Decay


class Regularizer(ABC):
    """Adds the gradient of a penalty to a parameter's gradient. The penalty itself is not part of the objective."""

    @abstractmethod
    def lower(self, g: Graph, grad: Value, parameter: Value, coef: float) -> Value:
        """Write the regularisation into the graph.

        Args:
            g: the graph.
            grad: the parameter's gradient so far.
            parameter: the parameter.
            coef: the solver's global `regu_coef`.

        Returns:
            the new gradient.
        """


@dataclasses.dataclass(frozen=True)
class NoRegu(Regularizer):
    """No penalty.

    Examples:
        >>> InnerProductLayer(name="ip", output_dim=10, weight_regu=NoRegu(), bottoms=["x"], tops=["y"]).weight_regu
        NoRegu()
    """

    def lower(self, g: Graph, grad: Value, parameter: Value, coef: float) -> Value:
        """Nothing."""
        return grad


@dataclasses.dataclass(frozen=True)
class L2Regu(Regularizer):
    """The penalty coef regu_coef sum w^2; gradient 2 coef regu_coef w.

    Args:
        coef: relative weight of the penalty.

    Examples:
        >>> about = {"weight_init": ConstantInitializer(2), "weight_regu": L2Regu(1)}
        >>> ip = InnerProductLayer(name="ip", output_dim=1, **about, bottoms=["x"], tops=["y"])
        >>> data = MemoryDataLayer(data=[np.zeros((1, 1))], tops=["x"], batch_size=1)
        >>> params = make_solver_parameters(SGD(), max_iter=1, regu_coef=0.5, lr_policy=LRPolicy.Fixed(0.1))
        >>> layers = [data, ip, SquareLossLayer(bottoms=["y", "x"])]
        >>> with DefaultBackend() as backend, Net("example", backend, layers) as net:
        ...     _ = Solver(SGD(), params).solve(net)
        ...     print(net.params["ip"]["weight"])
        [[1.8]]
    """

    coef: float = 1.0

    def lower(self, g: Graph, grad: Value, parameter: Value, coef: float) -> Value:
        """One op, none where the weight is 0."""
        return g(L2Decay(self.coef * coef), grad, parameter) if self.coef * coef else grad


@dataclasses.dataclass(frozen=True)
class L1Regu(Regularizer):
    """The penalty coef regu_coef sum abs(w); gradient coef regu_coef sign(w).

    Args:
        coef: relative weight of the penalty.

    Examples:
        >>> about = {"weight_init": ConstantInitializer(2), "weight_regu": L1Regu(1)}
        >>> ip = InnerProductLayer(name="ip", output_dim=1, **about, bottoms=["x"], tops=["y"])
        >>> data = MemoryDataLayer(data=[np.zeros((1, 1))], tops=["x"], batch_size=1)
        >>> params = make_solver_parameters(SGD(), max_iter=1, regu_coef=0.5, lr_policy=LRPolicy.Fixed(0.1))
        >>> layers = [data, ip, SquareLossLayer(bottoms=["y", "x"])]
        >>> with DefaultBackend() as backend, Net("example", backend, layers) as net:
        ...     _ = Solver(SGD(), params).solve(net)
        ...     print(net.params["ip"]["weight"])
        [[1.95]]
    """

    coef: float = 1.0

    def lower(self, g: Graph, grad: Value, parameter: Value, coef: float) -> Value:
        """One op, none where the weight is 0."""
        return g(L1Decay(self.coef * coef), grad, parameter) if self.coef * coef else grad
