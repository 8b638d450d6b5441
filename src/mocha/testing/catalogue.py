"""The catalogue: what Mocha is made of, entry by entry, each with a small training that exercises it.

`mocha check --catalogue` runs all of them on each backend, and holds every layer's gradients against differences.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

import mocha.coffee
import mocha.data
import mocha.layers
import mocha.parameters
import mocha.solvers
from mocha.backends import Backend, backend_types
from mocha.coffee import ValidationPerformance
from mocha.errors import BackendUnavailable
from mocha.graph import Node, Phase, Section
from mocha.graph.listing import table
from mocha.layers import Neurons, SourceLayer
from mocha.net import Net
from mocha.ops import Array
from mocha.solvers import CoffeeBreak, LRPolicy, MomPolicy, Solver, SolverMethod, make_solver_parameters
from mocha.testing.nets import check_gradients
from mocha.testing.trainings import ITERATIONS, LAYERS, OTHERS, SUBJECT, Training, of_layer


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing that a user finds under a name.

    Attributes:
        kind: layer, neuron, initializer, regularizer, constraint, solver, learning-rate policy, momentum policy, break
            or transformer.
        name: under which it is found: `mocha.<name>`.
        cls: its class.
        training: makes a training in which it takes part; it may write files into the folder.
    """

    kind: str
    name: str
    cls: type
    training: Callable[[Path], Training]


@dataclasses.dataclass(frozen=True)
class Row:
    """What was found for an entry.

    Attributes:
        entry: the entry.
        gradients: the checker's verdict.
        numpy: what the NumPy backend does.
        native: what the native backend does, or why it is not there.
        difference: the largest relative difference of a result between the two.
        ok: whether nothing is wrong.
    """

    entry: Entry
    gradients: str
    numpy: str
    native: str
    difference: float
    ok: bool


def entries() -> list[Entry]:
    """All entries, kind by kind."""
    found = [
        Entry("layer", name, getattr(mocha.layers, name), of_layer(getattr(mocha.layers, name))) for name in LAYERS
    ]
    for kind, prefix, space in (
        ("neuron", "Neurons.", Neurons),
        ("learning-rate policy", "LRPolicy.", LRPolicy),
        ("momentum policy", "MomPolicy.", MomPolicy),
        ("transformer", "DataTransformers.", mocha.data.DataTransformers),
    ):
        for name, cls in vars(space).items():
            if inspect.isclass(cls):
                found.append(Entry(kind, prefix + name, cls, OTHERS[prefix + name]))
    for kind, room, base in (
        ("initializer", mocha.parameters, mocha.parameters.Initializer),
        ("regularizer", mocha.parameters, mocha.parameters.Regularizer),
        ("constraint", mocha.parameters, mocha.parameters.Constraint),
        ("solver", mocha.solvers, SolverMethod),
        ("break", mocha.coffee, CoffeeBreak),
    ):
        for name in room.__all__:
            cls = getattr(room, name)
            if inspect.isclass(cls) and issubclass(cls, base) and cls is not base:
                found.append(Entry(kind, name, cls, OTHERS[name]))
    return found


_PASSED = "same code"
TOLERANCE = 1e-4
"""The largest difference of a result between the backends, relative to the largest number of its array."""


def examine(entry: Entry, backends: Iterable[str] = ("numpy", "native")) -> Row:
    """Run an entry's training on the backends, and hold its gradients against differences."""
    results: dict[str, dict[str, Array]] = {}
    told: dict[str, str] = {"native": "does not work here"}
    gradients, ok = "has none", True
    for name in dict.fromkeys(backends):
        with tempfile.TemporaryDirectory() as folder, Backend(name) as backend:
            training = entry.training(Path(folder))
            with Net(entry.name, backend, training.layers, seed=1) as net:
                if name == "numpy":
                    gradients, ok = _gradients(entry, net)
                    net.rewind()
                    net.counter = 0
                with contextlib.redirect_stderr(io.StringIO()):  # of what breaks draw
                    results[name], told[name] = _train(entry, net, training)
    ours, theirs = results.get("native", {}), results["numpy"]
    differences = [
        float(np.max(np.abs(ours[key] - theirs[key]), initial=0) / max(np.max(np.abs(theirs[key]), initial=0), 1e-6))
        for key in ours
    ]
    difference = max(differences, default=0.0)
    return Row(entry, gradients, told["numpy"], told["native"], difference, ok and difference <= TOLERANCE)


def _gradients(entry: Entry, net: Net) -> tuple[str, bool]:
    """The checker's verdict on a layer or a neuron, and whether it is a good one."""
    if entry.kind not in ("layer", "neuron"):
        return "has none", True
    subject = next(layer for layer in net.layers if layer.name == SUBJECT)
    if isinstance(subject, SourceLayer):
        return "is a source", True
    graph = net.lower(Phase.TRAIN)
    if not any(n.op.differentiable(len(n.inputs)) for n in graph.nodes if n.layer == SUBJECT) and not subject.tops:
        return "is a sink" if not graph.losses.get(SUBJECT) else "has none", True
    if all(not n.op.differentiable(len(n.inputs)) for n in graph.nodes if n.layer == SUBJECT) and graph.nodes:
        return "has none", True
    report = check_gradients(net, elements=10)
    meant = sorted({v.by_design for v in report.verdicts if v.by_design})
    errors = [v.error for v in report.verdicts if not v.by_design]
    told = [f"right, {max(errors):.0e}" if report.ok else "WRONG"] if errors else []
    return "; ".join([*told, *(f"not compared: {reason}" for reason in meant)]), report.ok


def _train(entry: Entry, net: Net, training: Training) -> tuple[dict[str, Array], str]:
    """The parameters after some updates, the blobs of a forward pass, and what ran it."""
    net.forward()
    by_hand = net.last
    results = {f"blob {name}": net.blobs[name] for name in net.blobs}
    params = make_solver_parameters(training.method, max_iter=ITERATIONS, **training.params)
    solver = Solver(training.method, params)
    breaks = training.breaks(net)
    for coffee in breaks:
        solver.add_coffee_break(coffee, every_n_iter=1)
    state = solver.init_solve(net)
    assert state.executable is not None
    executable = by_hand if entry.kind in ("layer", "neuron") else state.executable
    about = [node for node in executable.program.nodes if _about(entry, node)]
    without = sorted({node.op.name for node in executable.interpreted() if _about(entry, node)})
    while state.iteration < ITERATIONS:
        solver.step(net, state)
        for coffee in breaks:
            solver.lounge.iteration = state.iteration
            coffee.enjoy(solver.lounge, net, state)
    results.update({p.key: net.backend.store.read(p.key) for p in net.parameters})
    solver.finalize_solve(net, state)
    for coffee in breaks:
        if isinstance(coffee, ValidationPerformance):
            coffee.net.close()
    if entry.kind in ("initializer", "learning-rate policy", "momentum policy", "break", "transformer"):
        return results, _PASSED
    if net.backend.name != "native":
        return results, "reference"
    return results, f"reference code of {', '.join(without)}" if without else "kernels" if about else _PASSED


def _about(entry: Entry, node: Node) -> bool:
    """Whether a node of the training program belongs to the entry."""
    if entry.kind in ("layer", "neuron"):
        return bool(node.layer == SUBJECT)
    return node.section is Section.UPDATE


def examine_all(backends: Iterable[str] | None = None) -> list[Row]:
    """Every entry of the catalogue.

    Args:
        backends: the reference and others; all that work here unless told.
    """
    if backends is None:
        backends = [name for name in ("numpy", "native") if _works(name)]
    return [examine(entry, backends) for entry in entries()]


def _works(name: str) -> bool:
    try:
        backend_types()[name].describe()
    except BackendUnavailable:
        return False
    return True


def report(rows: Iterable[Row]) -> str:
    """The rows as a table for people."""
    rows = list(rows)
    lines = [
        (row.entry.kind, row.entry.name, row.gradients, row.numpy, row.native, f"{row.difference:.0e}",
         "right" if row.ok else "WRONG")
        for row in rows
    ]  # fmt: skip
    head = ("kind", "name", "gradients", "numpy", "native", "difference", "verdict")
    wrong = sum(not row.ok for row in rows)
    return f"{table(head, lines, right=(5,))}\n{len(rows)} entries, {wrong} wrong."
