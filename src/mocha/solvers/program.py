"""The training program: forward, backward, and the update of all parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mocha.errors import TopologyError
from mocha.graph import Graph, Phase, Program, Section, Value, build_program
from mocha.ops import ClipByNorm, GlobalNorm
from mocha.parameters import Parameter
from mocha.solvers.methods import Parameters, SolverMethod

if TYPE_CHECKING:
    from mocha.net import Net


def training_program(net: Net, method: SolverMethod, params: Parameters, keep: Iterable[str], prefix: str) -> Program:
    """Lower the net, derive its gradients, and write the updates of its trainable parameters.

    Args:
        net: the net.
        method: how parameters are updated.
        params: the solver's parameters.
        keep: names of the blobs to keep readable.
        prefix: what the keys of this solver's states start with.

    Raises:
        TopologyError: there is no loss, or it does not depend on a parameter that should learn.
    """
    graph = net.lower(Phase.TRAIN)
    if not graph.losses:
        raise TopologyError(f"net {net.name!r} has no loss layer, so there is nothing to minimise; add one.")
    kept = set(keep)
    net.backend.fuse(graph, kept)
    gradients = net.derive(graph)
    learning = net.trainable()
    _check_reached(net, learning, gradients)
    norm = None
    if 0 < params["clip_gradients"] < math.inf and learning:
        with graph.within("all parameters", Section.UPDATE):
            norm = graph(GlobalNorm(), *(gradients[p.key] for p in learning))
    for parameter in learning:
        with graph.within(parameter.key, Section.UPDATE):
            _update(graph, parameter, gradients[parameter.key], norm, method, params, prefix)
    program = build_program(f"{net.name}/{method.name}", graph, gradients, keep=kept, **net.backend.wishes)
    net.backend.allocate_states(program)
    return program


def _check_reached(net: Net, learning: list[Parameter], gradients: dict[str, Value]) -> None:
    lost = [p.key for p in learning if p.key not in gradients]
    if lost:
        raise TopologyError(
            f"net {net.name!r}: no loss depends, by a way that gradients can take, on {', '.join(lost)}. Connect the "
            "layer to "
            "a loss, freeze it, or leave it out."
        )


def _update(
    graph: Graph,
    parameter: Parameter,
    grad: Value,
    norm: Value | None,
    method: SolverMethod,
    params: Parameters,
    prefix: str,
) -> None:
    """Clip, regularise, step, constrain: the way of one gradient."""
    about = parameter.about
    w = graph.parameter(parameter.key, about.spec)
    if norm is not None:
        grad = graph(ClipByNorm(float(params["clip_gradients"])), grad, norm)
    grad = method.regularised(graph, grad, w, about, params)
    states = {slot: graph.state(f"{prefix}{slot}/{parameter.key}", about.spec) for slot in method.slots}
    method.step(graph, grad, w, states, about, params)
    about.constraint.lower(graph, w)
