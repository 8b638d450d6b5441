"""The methods that give each element of a parameter a rate of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from mocha.errors import ConfigError
from mocha.graph import Graph, Value
from mocha.ops import AdadeltaStep, AdagradStep, AdamStep, RmsPropStep
from mocha.ops.adaptive import AdaptiveStep
from mocha.parameters import L2Regu, NoRegu, ParameterSpec
from mocha.solvers.methods import Parameters, SolverMethod
from mocha.solvers.policies import Fixed, Inv, Policy


class _Adaptive(SolverMethod):
    """What they share: a learning rate, and means that forget."""

    kept: ClassVar[tuple[str, ...]]
    """The parameters that say what a mean keeps of itself."""

    def check(self, params: Parameters) -> None:
        """What a mean keeps is below 1."""
        for name in self.kept:
            if not params[name] < 1:
                raise ConfigError(f"{self.name}: {name} is {params[name]!r}; expected a number below 1.")

    def scalars(self, params: Parameters, iteration: int) -> Mapping[str, float]:
        """`learning_rate`."""
        policy: Policy = params["lr_policy"]
        return {"learning_rate": policy.value(iteration)}


class Adam(_Adaptive):
    """Adam: m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; w = w - r c m / (sqrt(v) + epsilon).

    c is sqrt(1 - beta2^t) / (1 - beta1^t) at iteration t; r the learning rate times the parameter's own. (Kingma and
    Ba, "Adam: a method for stochastic optimization", 2015. Mocha.jl lets v grow without end; this is the method of the
    paper.)

    Solver parameters: `lr_policy`, default LRPolicy.Inv(0.003, 0.0001, 0.5); `beta1`, default 0.9; `beta2`, default
    0.999, both below 1; `epsilon`, default 1e-8.

    Examples:
        >>> from mocha.models import line
        >>> method = Adam()
        >>> params = make_solver_parameters(method, max_iter=200, regu_coef=0.0, lr_policy=LRPolicy.Fixed(0.1))
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = Solver(method, params).solve(net)
        >>> state.obj_val < 0.01
        True
    """

    slots = ("mean", "square")
    rates = ("learning_rate", "correction")
    kept = ("beta1", "beta2")

    def defaults(self) -> Parameters:
        """Learning rate, what the means keep, and epsilon."""
        return {"lr_policy": Inv(0.003, 0.0001, 0.5), "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}

    def scalars(self, params: Parameters, iteration: int) -> Mapping[str, float]:
        """`learning_rate` and `correction`."""
        beta1, beta2 = float(params["beta1"]), float(params["beta2"])
        correction = math.sqrt(1 - beta2**iteration) / (1 - beta1**iteration) if iteration else 0.0
        return {**super().scalars(params, iteration), "correction": correction}

    def op(self, about: ParameterSpec, params: Parameters) -> AdaptiveStep:
        """The op of one parameter's step."""
        return AdamStep(about.rate, float(params["beta1"]), float(params["beta2"]), float(params["epsilon"]))


class AdamW(Adam):
    """Adam with decoupled weight decay: `Adam`, and w = w - r decay w.

    The decay is `weight_decay` times the coefficient of the parameter's L2 regularizer, so that by default weights
    decay and biases do not; the solver's `regu_coef` has no part in it. (Loshchilov and Hutter, "Decoupled weight decay
    regularization", 2019.)

    Solver parameters: those of `Adam`, and `weight_decay`, default 0.01.

    Examples:
        >>> from mocha.models import line
        >>> method = AdamW()
        >>> params = make_solver_parameters(method, max_iter=200, regu_coef=0.0, weight_decay=1e-4)
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = Solver(method, params).solve(net)
        >>> state.obj_val < 0.01
        False
    """

    def defaults(self) -> Parameters:
        """Those of Adam, and the decay."""
        return {**super().defaults(), "weight_decay": 0.01}

    def regularised(self, g: Graph, grad: Value, parameter: Value, about: ParameterSpec, params: Parameters) -> Value:
        """Nothing: the decay is part of the step."""
        return grad

    def op(self, about: ParameterSpec, params: Parameters) -> AdaptiveStep:
        """The op of one parameter's step.

        Raises:
            ConfigError: the parameter has another regularizer than L2Regu or NoRegu.
        """
        regularizer = about.regularizer
        if not isinstance(regularizer, (L2Regu, NoRegu)):
            raise ConfigError(
                f"AdamW: {about.name} has {regularizer!r}; expected L2Regu(...) or NoRegu(), or use Adam."
            )
        coef = regularizer.coef if isinstance(regularizer, L2Regu) else 0.0
        beta1, beta2, epsilon = (float(params[name]) for name in ("beta1", "beta2", "epsilon"))
        return AdamStep(about.rate, beta1, beta2, epsilon, float(params["weight_decay"]) * coef)


class Adagrad(_Adaptive):
    """AdaGrad: h = h + g^2; w = w - r gamma g / (sqrt(h) + epsilon), element by element.

    (Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011. Mocha.jl has one rate for all elements of a
    parameter; this is the method of the paper.)

    Solver parameters: `gamma`, default 1; `epsilon`, default 1e-8; `lr_policy`, default LRPolicy.Fixed(1).

    Examples:
        >>> from mocha.models import line
        >>> method = Adagrad()
        >>> params = make_solver_parameters(method, max_iter=200, regu_coef=0.0)
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = Solver(method, params).solve(net)
        >>> state.obj_val < 0.01
        True
    """

    slots = ("square",)
    kept = ()

    def defaults(self) -> Parameters:
        """The rate in two factors, and epsilon."""
        return {"gamma": 1.0, "epsilon": 1e-8, "lr_policy": Fixed(1.0)}

    def op(self, about: ParameterSpec, params: Parameters) -> AdaptiveStep:
        """The op of one parameter's step."""
        return AdagradStep(about.rate * float(params["gamma"]), float(params["epsilon"]))


class Adadelta(_Adaptive):
    """AdaDelta: e = rho e + (1 - rho) g^2; s = g sqrt(d + eps) / sqrt(e + eps); d = rho d + (1 - rho) s^2; w = w - r s.

    (Zeiler, "ADADELTA: an adaptive learning rate method", 2012.)

    Solver parameters: `rho`, default 0.95, below 1; `eps`, default 1e-6; `lr_policy`, default LRPolicy.Fixed(1).

    Examples:
        >>> from mocha.models import line
        >>> method = Adadelta()
        >>> params = make_solver_parameters(method, max_iter=200, regu_coef=0.0, rho=0.9, eps=1e-3)
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = Solver(method, params).solve(net)
        >>> state.obj_val < 0.01
        True
    """

    slots = ("square", "step")
    kept = ("rho",)

    def defaults(self) -> Parameters:
        """What the means keep, eps, and the rate."""
        return {"rho": 0.95, "eps": 1e-6, "lr_policy": Fixed(1.0)}

    def op(self, about: ParameterSpec, params: Parameters) -> AdaptiveStep:
        """The op of one parameter's step."""
        return AdadeltaStep(about.rate, float(params["rho"]), float(params["eps"]))


class RMSProp(_Adaptive):
    """RMSProp: h = rms_decay h + (1 - rms_decay) g^2; w = w - r g / (sqrt(h) + epsilon).

    (Tieleman and Hinton, "Lecture 6.5", Coursera 2012; Caffe's RMSProp.)

    Solver parameters: `lr_policy`, default LRPolicy.Fixed(0.001); `rms_decay`, default 0.99, below 1; `epsilon`,
    default 1e-8.

    Examples:
        >>> from mocha.models import line
        >>> method = RMSProp()
        >>> params = make_solver_parameters(method, max_iter=200, regu_coef=0.0, lr_policy=LRPolicy.Fixed(0.05))
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = Solver(method, params).solve(net)
        >>> state.obj_val < 0.01
        True
    """

    slots = ("square",)
    kept = ("rms_decay",)

    def defaults(self) -> Parameters:
        """The rate, what the mean keeps, and epsilon."""
        return {"lr_policy": Fixed(0.001), "rms_decay": 0.99, "epsilon": 1e-8}

    def op(self, about: ParameterSpec, params: Parameters) -> AdaptiveStep:
        """The op of one parameter's step."""
        return RmsPropStep(about.rate, float(params["rms_decay"]), float(params["epsilon"]))
