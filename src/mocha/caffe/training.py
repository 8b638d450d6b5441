"""The programs that train a Caffe net: forward, backward and update, in one or in parts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from mocha.caffe.engine import Engine, Range
from mocha.errors import ConfigError, did_you_mean
from mocha.graph import Graph, Phase, Program, Section, Value, build_program, derive_gradients
from mocha.ops import ClipByNorm, GlobalNorm, L1Decay, L2Decay, MovingAverage, Scale
from mocha.parameters import L2Regu, Parameter
from mocha.solvers import SGD, Adadelta, Adagrad, Adam, Nesterov, RMSProp, SolverMethod

_KEPT: Iterable[str] | None = None
"""The blobs that can be read after a step: all of them, for a script asks for any at any time."""


@dataclasses.dataclass(frozen=True)
class Method:
    """One of Caffe's solver types, as a method of Mocha's.

    Attributes:
        type: Caffe's name.
        method: what knows the op, the states and the scalars.
        params: the method's own parameters.
        momentum: the solver's.
        sign: what Caffe's history is of our states: Mocha's velocity points downhill, Caffe's uphill.
    """

    type: str
    method: SolverMethod
    params: Mapping[str, Any]
    momentum: float
    sign: float = 1.0

    def scalars(self, rate: float, iteration: int) -> dict[str, float]:
        """What a step reads, at the update that follows after so many."""
        found = {"learning_rate": rate, "momentum": self.momentum, "last_momentum": self.momentum}
        if self.type == "Adam":
            t = iteration + 1
            beta1, beta2 = float(self.params["beta1"]), float(self.params["beta2"])
            found["correction"] = math.sqrt(1 - beta2**t) / (1 - beta1**t)
        return found


def method_of(param: Any, kind: str | None = None) -> Method:
    """The method that a `SolverParameter` names, or that of a type.

    Raises:
        ConfigError: there is no such type, or its numbers cannot be.
    """
    kind = param.type if kind is None else kind
    momentum, delta = param.momentum, param.delta
    known = {
        "SGD": Method("SGD", SGD(), {}, momentum, -1.0),
        "Nesterov": Method("Nesterov", Nesterov(), {}, momentum, -1.0),
        "AdaGrad": Method("AdaGrad", Adagrad(), {"gamma": 1.0, "epsilon": delta}, 0.0),
        "RMSProp": Method("RMSProp", RMSProp(), {"rms_decay": param.rms_decay, "epsilon": delta}, 0.0),
        "AdaDelta": Method("AdaDelta", Adadelta(), {"rho": momentum, "eps": delta}, momentum),
        "Adam": Method("Adam", Adam(), {"beta1": momentum, "beta2": param.momentum2, "epsilon": delta}, momentum),
    }
    if kind not in known:
        raise ConfigError(f"solver: type is {kind!r}. {did_you_mean(kind, known)}")
    if kind in ("AdaGrad", "RMSProp") and momentum:
        raise ConfigError(f"solver: momentum is {momentum:g}; {kind} has none, expected 0.")
    if kind == "Adam" and not (0 <= momentum < 1 and 0 <= param.momentum2 < 1):
        raise ConfigError(
            f"solver: momentum is {momentum:g}, momentum2 {param.momentum2:g}; Adam expects 0 to below 1 of both."
        )
    if kind == "RMSProp" and not 0 <= param.rms_decay < 1:
        raise ConfigError(f"solver: rms_decay is {param.rms_decay:g}; expected 0 to below 1.")
    return known[kind]


class Training:
    """How a solver's parameters say that a net is trained.

    Args:
        engine: the net.
        param: a `SolverParameter`.
        method: how parameters are updated.
    """

    def __init__(self, engine: Engine, param: Any, method: Method) -> None:
        self.engine = engine
        self.param = param
        self.method = method
        self.prefix = f"{engine.prefix}solver/"
        if param.regularization_type not in ("L1", "L2") and param.weight_decay:
            raise ConfigError(
                f"solver: regularization_type is {param.regularization_type!r}; expected 'L2' or 'L1', in capitals."
            )

    def state(self, slot: str, parameter: Parameter) -> str:
        """The key of a parameter's state: a slot of the method, or "gradient"."""
        return f"{self.prefix}{slot}/{parameter.key}"

    # -- programs

    def whole(self, counts: Mapping[str, int]) -> Program:
        """Forward, backward and update; `counts` says how many rows each Filter keeps."""
        graph, gradients = self._passes(counts)
        self._update(graph, gradients)
        return self._built(graph, gradients, _KEPT)

    def accumulating(self, counts: Mapping[str, int]) -> Program:
        """Forward and backward, and the gradients added to what is kept for `updating`."""
        graph, gradients = self._passes(counts)
        for parameter in self.engine.learning():
            if parameter.key in gradients:
                with graph.within(parameter.key, Section.UPDATE):
                    kept = graph.state(self.state("gradient", parameter), parameter.about.spec)
                    graph(MovingAverage(1.0), kept, gradients[parameter.key])
        return self._built(graph, gradients, _KEPT)

    def updating(self) -> Program:
        """The update alone, by the gradients that are kept."""
        graph = Graph(Phase.TRAIN)
        learning = self.engine.learning()
        gradients = {p.key: graph.state(self.state("gradient", p), p.about.spec) for p in learning}
        self._update(graph, gradients)
        return self._built(graph, {}, ())

    def _passes(self, counts: Mapping[str, int]) -> tuple[Graph, dict[str, Value]]:
        engine = self.engine
        lowered = engine.lower(Range(0, len(engine.layers) - 1), counts)
        graph = lowered.graph
        engine.backend.fuse(graph, _KEPT)
        wrt = engine.wanted(lowered)
        found = derive_gradients(graph, dict.fromkeys(graph.losses.values(), 1.0), wrt)
        gradients = {name: found[value] for name, value in lowered.first.items() if value in found}
        gradients.update((v.name, found[v]) for v in wrt if v in found and v.name not in lowered.first)
        return graph, gradients

    def _update(self, graph: Graph, gradients: Mapping[str, Value]) -> None:
        """Clip, divide, regularise, step: Caffe's order."""
        learning = [p for p in self.engine.learning() if p.key in gradients]
        norm = None
        if self.param.clip_gradients >= 0 and learning:
            with graph.within("all parameters", Section.UPDATE):
                norm = graph(GlobalNorm(), *(gradients[p.key] for p in learning))
        for parameter in learning:
            with graph.within(parameter.key, Section.UPDATE):
                grad, w = gradients[parameter.key], graph.parameter(parameter.key, parameter.about.spec)
                if norm is not None:
                    grad = graph(ClipByNorm(self.param.clip_gradients), grad, norm)
                if self.param.iter_size > 1:
                    grad = graph(Scale(1 / self.param.iter_size), grad)
                grad = self._decayed(graph, grad, w, parameter)
                slots = self.method.method.slots
                states = {s: graph.state(self.state(s, parameter), parameter.about.spec) for s in slots}
                self.method.method.step(graph, grad, w, states, parameter.about, dict(self.method.params))

    def _decayed(self, graph: Graph, grad: Value, w: Value, parameter: Parameter) -> Value:
        regularizer = parameter.about.regularizer
        share = 2 * regularizer.coef if isinstance(regularizer, L2Regu) else 0.0
        decay = self.param.weight_decay * share
        if not decay:
            return grad
        if self.param.regularization_type == "L1":
            return graph(L1Decay(decay), grad, w)
        return graph(L2Decay(decay / 2), grad, w)  # its gradient is twice its coefficient times w

    def _built(self, graph: Graph, gradients: Mapping[str, Value], keep: Iterable[str] | None) -> Program:
        name = f"{self.engine.message.name or 'net'}/{self.method.type}"
        program = build_program(name, graph, gradients, keep=keep, **self.engine.backend.wishes)
        self.engine.backend.allocate_states(program)
        return program
