"""Bounds on parameters, enforced after each update. One small class each, lowered to ops."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

from mocha.errors import ConfigError
from mocha.graph import Graph, Value
from mocha.ops import L2NormConstraint


class Constraint(ABC):
    """Changes a parameter after its update."""

    @abstractmethod
    def lower(self, g: Graph, parameter: Value) -> None:
        """Write the constraint into the graph, as ops that overwrite the parameter."""


@dataclasses.dataclass(frozen=True)
class NoCons(Constraint):
    """No bound.

    Examples:
        >>> InnerProductLayer(name="ip", output_dim=10, bottoms=["x"], tops=["y"]).weight_cons
        NoCons()
    """

    def lower(self, g: Graph, parameter: Value) -> None:
        """Nothing."""


@dataclasses.dataclass(frozen=True)
class L2Cons(Constraint):
    """The Euclidean norm of each filter, or of each unit's weights, stays at or below a threshold.

    Args:
        threshold: largest norm, > 0.
        every_n_iter: enforced in every so many iterations; 0 for never.

    Examples:
        >>> about = {"weight_init": ConstantInitializer(2), "weight_cons": L2Cons(1.5)}
        >>> ip = InnerProductLayer(name="ip", output_dim=1, **about, bottoms=["x"], tops=["y"])
        >>> data = MemoryDataLayer(data=[np.zeros((1, 1))], tops=["x"], batch_size=1)
        >>> params = make_solver_parameters(SGD(), max_iter=1, regu_coef=0.5, lr_policy=LRPolicy.Fixed(0.1))
        >>> layers = [data, ip, SquareLossLayer(bottoms=["y", "x"])]
        >>> with DefaultBackend() as backend, Net("example", backend, layers) as net:
        ...     _ = Solver(SGD(), params).solve(net)
        ...     print(net.params["ip"]["weight"])
        [[1.5]]
    """

    threshold: float
    every_n_iter: int = 1

    def __post_init__(self) -> None:
        if not self.threshold > 0 or self.every_n_iter < 0:
            raise ConfigError(
                f"L2Cons: threshold {self.threshold}, every_n_iter {self.every_n_iter}; expected a threshold > 0 and "
                "every_n_iter >= 0."
            )

    def lower(self, g: Graph, parameter: Value) -> None:
        """One op."""
        if self.every_n_iter:
            g(L2NormConstraint(self.threshold, self.every_n_iter), parameter, g.scalar("iteration"))
