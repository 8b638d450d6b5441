"""The methods, in order of complexity: which ops update a parameter, and which scalars those read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from mocha.graph import Graph, Value
from mocha.ops import NesterovStep, Op, SgdStep
from mocha.parameters import ParameterSpec
from mocha.solvers.policies import Fixed, Policy

Parameters = dict[str, Any]
"""Solver parameters by name, see `make_solver_parameters`."""


class SolverMethod(ABC):
    """A way to update parameters by their gradients."""

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the states that the method keeps for each parameter, each of the parameter's shape, zero at first."""

    rates: ClassVar[tuple[str, ...]] = ("learning_rate",)
    """The scalars that a step reads, in its op's order."""

    @property
    def name(self) -> str:
        """What snapshots call it."""
        return type(self).__name__

    @abstractmethod
    def defaults(self) -> Parameters:
        """The method's own solver parameters with their defaults, which are all that it understands."""

    def check(self, params: Parameters) -> None:
        """Look at the method's own parameters, raise a `ConfigError` for one that cannot be.

        Types and signs were looked at before. The base has no more to say.
        """

    @abstractmethod
    def scalars(self, params: Parameters, iteration: int) -> Mapping[str, float]:
        """The scalars of an iteration, by slot of the parameter block."""

    def regularised(self, g: Graph, grad: Value, parameter: Value, about: ParameterSpec, params: Parameters) -> Value:
        """Write what the parameter's regularizer adds to its gradient into the graph."""
        return about.regularizer.lower(g, grad, parameter, float(params["regu_coef"]))

    @abstractmethod
    def op(self, about: ParameterSpec, params: Parameters) -> Op:
        """The op of one parameter's step: it takes gradient, parameter, states and the scalars of `rates`.

        Args:
            about: what the layer says of the parameter; `about.rate` is its own multiple of the learning rate.
            params: the solver's parameters.
        """

    def step(
        self,
        g: Graph,
        grad: Value,
        parameter: Value,
        states: Mapping[str, Value],
        about: ParameterSpec,
        params: Parameters,
    ) -> None:
        """Write the update of one parameter into the graph.

        Args:
            g: the graph.
            grad: the gradient, clipped and regularised.
            parameter: the parameter.
            states: the parameter's states, by slot.
            about: what the layer says of the parameter.
            params: the solver's parameters.
        """
        own = (states[slot] for slot in self.slots)
        g(self.op(about, params), grad, parameter, *own, *(g.scalar(name) for name in self.rates))


class _Momentum(SolverMethod):
    """What the methods with a velocity share."""

    slots = ("velocity",)

    def defaults(self) -> Parameters:
        """Learning rate and momentum."""
        return {"lr_policy": Fixed(0.01), "mom_policy": Fixed(0.0)}


class SGD(_Momentum):
    """Stochastic gradient descent with momentum: v = momentum v - rate g; w = w + v.

    As in Mocha, the momentum at iteration t is what the policy gives for t - 1.

    Solver parameters: `lr_policy`, default LRPolicy.Fixed(0.01); `mom_policy`, default MomPolicy.Fixed(0).

    Examples:
        >>> from mocha.models import line
        >>> method = SGD()
        >>> params = make_solver_parameters(method, max_iter=200, regu_coef=0.0,
        ...     lr_policy=LRPolicy.Fixed(0.1), mom_policy=MomPolicy.Fixed(0.9)
        ... )
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = Solver(method, params).solve(net)
        >>> state.obj_val < 0.01
        True
    """

    rates = ("learning_rate", "momentum")

    def scalars(self, params: Parameters, iteration: int) -> Mapping[str, float]:
        """`learning_rate` and `momentum`."""
        rate, momentum = _policies(params)
        return {"learning_rate": rate.value(iteration), "momentum": momentum.value(iteration - 1)}

    def op(self, about: ParameterSpec, params: Parameters) -> Op:
        """The op of one parameter's step."""
        return SgdStep(about.rate)


class Nesterov(_Momentum):
    """Nesterov's accelerated gradient: w' = w - m1 v + (1 + m2) v', v' = m1 v - rate g.

    m1 is the momentum of the iteration before, m2 of this one. (Bengio, Boulanger-Lewandowski and Pascanu, "Advances
    in optimizing recurrent networks", 2012.)

    Solver parameters: `lr_policy`, default LRPolicy.Fixed(0.01); `mom_policy`, default MomPolicy.Fixed(0).

    Examples:
        >>> from mocha.models import line
        >>> method = Nesterov()
        >>> params = make_solver_parameters(method, max_iter=200, regu_coef=0.0,
        ...     lr_policy=LRPolicy.Fixed(0.1), mom_policy=MomPolicy.Fixed(0.9)
        ... )
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = Solver(method, params).solve(net)
        >>> state.obj_val < 0.01
        True
    """

    rates = ("learning_rate", "last_momentum", "momentum")

    def scalars(self, params: Parameters, iteration: int) -> Mapping[str, float]:
        """`learning_rate`, `last_momentum` and `momentum`."""
        rate, momentum = _policies(params)
        return {
            "learning_rate": rate.value(iteration),
            "last_momentum": momentum.value(iteration - 1),
            "momentum": momentum.value(iteration),
        }

    def op(self, about: ParameterSpec, params: Parameters) -> Op:
        """The op of one parameter's step."""
        return NesterovStep(about.rate)


def _policies(params: Parameters) -> tuple[Policy, Policy]:
    return params["lr_policy"], params["mom_policy"]
