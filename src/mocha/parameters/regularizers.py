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
    """No penalty."""

    def lower(self, g: Graph, grad: Value, parameter: Value, coef: float) -> Value:
        """Nothing."""
        return grad


@dataclasses.dataclass(frozen=True)
class L2Regu(Regularizer):
    """The penalty coef regu_coef sum w^2; gradient 2 coef regu_coef w.

    Args:
        coef: relative weight of the penalty.
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
    """

    coef: float = 1.0

    def lower(self, g: Graph, grad: Value, parameter: Value, coef: float) -> Value:
        """One op, none where the weight is 0."""
        return g(L1Decay(self.coef * coef), grad, parameter) if self.coef * coef else grad
