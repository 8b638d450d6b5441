"""One op of Mocha as a program of its own, timed by the executable's profile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from mocha.backends import AbstractBackend
from mocha.graph import Graph, Node, Section, Value, build_program, derive_gradients
from mocha.ops import Chain, Gradient, L2Decay, Multiply, Op, ReduceSum, SgdStep, Spec


class OurOp:
    """A program, and the nodes of it that count: what comes before and after an op takes time too, and is left out.

    Args:
        backend: where it runs. Its store gets the arrays `stored`.
        graph: the program's.
        gradients: name -> value of a gradient that is to be kept.
        counts: whether a node is part of what is measured.
        feeds: the inputs.
        stored: the parameters and states.
        scalars: the numbers of the parameter block.
        answer: the name of the gradient or blob, or the key of the stored array, to compare.
    """

    def __init__(
        self,
        backend: AbstractBackend,
        graph: Graph,
        gradients: Mapping[str, Value],
        counts: Callable[[Node], bool],
        feeds: Mapping[str, np.ndarray],
        stored: Mapping[str, np.ndarray],
        scalars: Mapping[str, float],
        answer: str,
    ) -> None:
        self._backend, self._feeds, self._stored, self._name = backend, dict(feeds), dict(stored), answer
        for key, array in stored.items():
            backend.store.allocate(key, array)
        keep = {answer}
        fuse = any(node.section is Section.UPDATE for node in graph.nodes)
        program = build_program("op", graph, gradients, keep=keep, fuse=fuse, channels_last=backend.channels_last)
        self._executable = backend.compile(program)
        self._executable.block.set(scalars)
        self._nodes = {node for node in program.nodes if counts(node)}
        self.work = sum(node.work for node in self._nodes)
        self.traffic = sum(node.traffic for node in self._nodes)

    def seconds(self) -> float:
        """Run the program, give the time of what counts."""
        times = self._executable.profile(*Section, feeds=self._feeds)
        return sum(seconds for node, seconds in times if node in self._nodes)

    def answer(self) -> np.ndarray:
        """What it computes; of an update, the parameter after one step."""
        for key, array in self._stored.items():
            self._backend.store.write(key, array)
        self._executable.run(*Section, feeds=self._feeds)
        if self._name in self._executable.program.gradients:
            return self._executable.gradient(self._name)
        if self._name in self._executable.program.blobs:
            return self._executable.blob(self._name)
        return self._backend.store.read(self._name)

    def close(self) -> None:
        """Give the memory back."""
        self._executable.close()
        for key in self._stored:
            self._backend.store.free(key)


def _is(op: Op, kind: type[Op], gradient: bool) -> bool:
    if isinstance(op, Gradient):
        return gradient and type(op.of) is kind
    if isinstance(op, Chain):
        return any(_is(step, kind, gradient) for step in op.steps)
    return not gradient and type(op) is kind


def applied(
    backend: AbstractBackend,
    op: Op,
    arrays: Mapping[str, np.ndarray],
    *,
    stored: Iterable[str] = (),
    wrt: str = "",
) -> OurOp:
    """An op, or its gradient.

    Args:
        backend: where it runs.
        op: the op.
        arrays: its inputs by name, in order; one of float64 without axes is a number of the parameter block. `dy` may
            be among them: the gradient of the first output, for `wrt`.
        stored: those that are parameters.
        wrt: the input whose gradient is measured; "" for the op itself.
    """
    g = Graph()
    values, feeds, kept, scalars = {}, {}, {}, {}
    for name, array in arrays.items():
        if name == "dy":
            continue
        if array.ndim == 0 and array.dtype == np.float64:
            values[name], scalars[name] = g.scalar(name), float(array)
        elif name in stored:
            values[name], kept[name] = g.parameter(name, Spec.of(array)), array
        else:
            values[name], feeds[name] = g.input(name, Spec.of(array)), array
    y = g.apply(op, *values.values())[0]
    g.blobs = {"y": y}
    if not wrt:
        return OurOp(backend, g, {}, lambda node: _is(node.op, type(op), False), feeds, kept, scalars, "y")
    objective = y
    if y.shape:
        feeds["dy"] = arrays["dy"]
        objective = g(ReduceSum(), g(Multiply(), y, g.input("dy", Spec.of(arrays["dy"]))))
    gradients = {wrt: derive_gradients(g, {objective: 1.0}, [values[wrt]])[values[wrt]]}
    g.blobs = {}
    return OurOp(backend, g, gradients, lambda node: _is(node.op, type(op), True), feeds, kept, scalars, wrt)


def update(
    backend: AbstractBackend, arrays: Mapping[str, np.ndarray], rate: float, momentum: float, decay: float
) -> OurOp:
    """A parameter's decay and momentum step: arrays gradient, w, v."""
    g = Graph()
    gradient, w, v = (Spec.of(arrays[name]) for name in ("gradient", "w", "v"))
    with g.within("w", Section.UPDATE):
        weight = g.parameter("w", w)
        pulled = g(L2Decay(decay), g.input("gradient", gradient), weight)
        g.apply(SgdStep(), pulled, weight, g.state("v", v), g.scalar("rate"), g.scalar("momentum"))
    stored = {name: arrays[name] for name in ("w", "v")}
    scalars = {"rate": rate, "momentum": momentum}
    return OurOp(backend, g, {}, lambda _: True, {"gradient": arrays["gradient"]}, stored, scalars, "w")
