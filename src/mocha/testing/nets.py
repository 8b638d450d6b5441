"""The gradients of a whole net against central differences of its objective: for nets with layers of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from mocha.backends import AbstractBackend
from mocha.errors import ConfigError
from mocha.graph import Phase, Value
from mocha.graph.listing import table
from mocha.layers import Layer, MemoryDataLayer, SourceLayer
from mocha.net import Net
from mocha.ops import Array, Spec

STEP = 1e-5
"""Half the step of a difference, times the number's magnitude where that is above 1."""

TOLERANCE = 1e-5
"""The largest relative error that passes. A wrong formula is off by far more."""

ROUNDING = 32
"""How many units in its last place the objective, a sum of very many terms, may be off."""

FLOOR = 1e-3
"""An element's gradient below this share of the largest one of its array is held against that share."""

KINK = 1e-3
"""Where slopes to both sides, or for different steps, disagree by more than this share, the objective is not smooth."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was found for one parameter or data blob.

    Attributes:
        name: ``layer/parameter``, or the blob.
        size: elements in all.
        checked: elements whose gradient was held against differences.
        kinks: elements that were drawn and left out, because the objective has a kink there (a ReLU at 0, a tie).
        error: the worst relative error.
        at: where that is.
        gradient: the net's gradient there.
        difference: what the differences say.
        by_design: why it is meant to be no derivative, and was held against nothing; empty where it is meant to be one.
    """

    name: str
    size: int
    checked: int
    kinks: int
    error: float
    at: tuple[int, ...]
    gradient: float
    difference: float
    by_design: str = ""

    @property
    def ok(self) -> bool:
        """Whether the gradient was found right, in one element at least, or is meant to be no derivative."""
        return bool(self.by_design) or (self.checked > 0 and self.error <= TOLERANCE)

    @property
    def text(self) -> str:
        """The verdict in words."""
        if self.by_design:
            return f"not compared: {self.by_design}"
        if not self.checked:
            return "NOT CHECKED: only kinks were found"
        return "right" if self.ok else f"WRONG at {self.at}: {self.gradient:.6g}, differences say {self.difference:.6g}"


@dataclasses.dataclass(frozen=True)
class GradientReport:
    """The verdicts on a net; print it.

    Attributes:
        net: the net's name.
        verdicts: by parameter and data blob.
    """

    net: str
    verdicts: tuple[Verdict, ...]

    @property
    def ok(self) -> bool:
        """Whether all gradients are right."""
        return all(verdict.ok for verdict in self.verdicts)

    def __str__(self) -> str:
        rows = []
        for v in self.verdicts:
            error = "-" if v.by_design else f"{v.error:.1e}"
            rows.append((v.name, str(v.size), str(v.checked), str(v.kinks), error, v.text))
        head = ("gradient of", "elements", "checked", "at kinks", "worst error", "verdict")
        wrong = sum(not v.ok for v in self.verdicts)
        meant = sum(bool(v.by_design) for v in self.verdicts)
        summary = f"{wrong} of {len(rows)} gradients are wrong or were not checked" if wrong else "all are right"
        summary += f", {meant} not compared" if meant else ""
        verdict = f"net {self.net!r}: {summary}."
        return f"{table(head, rows, right=(1, 2, 3, 4))}\n{verdict}"


def check_gradients(net: Net, *, elements: int = 20, seed: int = 0) -> GradientReport:
    """Hold the gradients of a net's objective against central differences, for each parameter and each data blob.

    A twin of the net is made in float64, on a backend of the same kind, with the net's parameters, its next batch, and
    dropout masks that stay the same. The net itself is left as it is, but for the batch that is taken. Parameters that
    the net borrows from another net come along. A gradient that is meant to be no derivative, that of a
    `WassersteinLossLayer` or of a weight that a `TiedInnerProductLayer` lets no gradient into, is told as such.

    Args:
        net: the net; it needs a loss.
        elements: how many elements of each array to check, drawn at random; kinks are left out and others drawn.
        seed: of the drawing.

    Returns:
        the report; `report.ok` says whether all is right, and printing it tells where not.

    Raises:
        ConfigError: the net has no loss, or `elements` is below 1.
    """
    if elements < 1:
        raise ConfigError(f"check_gradients: elements is {elements}; expected at least 1.")
    batch = {name: np.asarray(array, np.float64) for name, array in net.next_batch().items()}
    # one layer a top, for noise may have batches of different sizes
    layers: list[Layer] = [
        MemoryDataLayer(name=f"{layer.name} {top}", tops=[top], data=[batch[top]], batch_size=len(batch[top]))
        for layer in net.layers
        if isinstance(layer, SourceLayer)
        for top in layer.tops
    ]
    layers += [layer for layer in net.layers if not isinstance(layer, SourceLayer)]
    rng = np.random.default_rng(seed)
    with (
        _lending(net) as backend,
        Net(net.name, backend, layers, seed=net.seed, force_backward=True) as twin,
    ):
        for layer, parameters in net.params.items():
            for name in parameters:
                twin.params[layer][name] = parameters[name]
        twin.counter = net.counter
        twin.forward_backward()
        if not twin.losses():
            raise ConfigError(f"net {net.name!r} has no loss layer, so it has no gradients; add one.")
        meant = _by_design(twin)
        found = []
        for key, name, values, gradient, objective in _entries(twin, batch, net.counter):
            if key in meant:
                found.append(Verdict(name, values.size, 0, 0, 0.0, (), 0.0, 0.0, meant[key]))
            else:
                found.append(_verdict(name, values, gradient, objective, elements, rng))
    return GradientReport(net.name, tuple(found))


def _lending(net: Net) -> AbstractBackend:
    """A backend of the same kind that holds what the net borrows, in float64."""
    backend = type(net.backend)()
    net.init()
    for parameter in net.borrowed:
        key, group = net.backend.registry.group(parameter)
        doubles = [dataclasses.replace(p.about, spec=Spec(p.about.spec.shape, np.dtype(np.float64))) for p in group]
        for twin, p in zip(backend.registry.claim("", key, doubles), group, strict=True):
            backend.registry.assign(twin, net.backend.store.read(p.key))
    return backend


def _by_design(net: Net) -> dict[str, str]:
    """Name of a blob, or key of a parameter -> why its gradient is meant to be no derivative of the objective."""
    graph = net.lower(Phase.TRAIN)
    reasons: dict[Value, str] = {}
    for node in reversed(graph.nodes):
        reason = node.op.gradient_by_design or next((reasons[out] for out in node.outputs if out in reasons), "")
        if reason:
            reasons.update(dict.fromkeys(node.inputs, reason))
    return {value.name: reason for value, reason in reasons.items() if value.producer is None}


_Objective = Callable[[Array], float]


def _entries(twin: Net, batch: dict[str, Array], counter: int) -> Iterator[tuple[str, str, Array, Array, _Objective]]:
    """Key, name, values, gradient, and the objective as a function of the values, for all that has a gradient."""

    def objective(feeds: dict[str, Array]) -> float:
        twin.counter = counter
        return twin.forward(feeds=feeds)

    gradients = {name: twin.gradients[name] for name in twin.gradients}
    for parameter in twin.parameters:
        if parameter.key not in gradients:
            continue
        layer, name = next(
            (claim, p.about.name) for claim, ps in twin.parameters_by_layer().items() for p in ps if p == parameter
        )
        values = twin.params[layer][name]

        def changed(array: Array, layer: str = layer, name: str = name) -> float:
            twin.params[layer][name] = array
            return objective(batch)

        yield parameter.key, f"{layer}/{name}", values, gradients[parameter.key], changed
        twin.params[layer][name] = values
    for blob, array in batch.items():
        if blob in gradients:

            def fed(changed_array: Array, blob: str = blob) -> float:
                return objective({**batch, blob: changed_array})

            yield blob, blob, array, gradients[blob], fed


def _verdict(
    name: str, values: Array, gradient: Array, objective: _Objective, elements: int, rng: np.random.Generator
) -> Verdict:
    """Check some elements of one array."""
    here = objective(values)
    # smaller gradients than this drown in the rounding of the objective, whose differences are divided by the step
    drowned = ROUNDING * float(np.finfo(np.float64).eps) * max(1.0, abs(here)) / STEP / TOLERANCE
    floor = max(FLOOR * float(np.abs(gradient).max(initial=0.0)), drowned)
    checked = kinks = 0
    worst: tuple[float, tuple[int, ...], float, float] = (0.0, (), 0.0, 0.0)
    for flat in rng.permutation(values.size):
        if checked == elements or kinks > 10 * elements:
            break
        at = tuple(int(i) for i in np.unravel_index(int(flat), values.shape))
        step = STEP * max(1.0, abs(float(values[at])))
        up, down = (_slope(objective, values, at, end, here) for end in (step, -step))
        near_up, near_down = (_slope(objective, values, at, end, here) for end in (step / 4, -step / 4))
        wide, narrow = (up + down) / 2, (near_up + near_down) / 2
        # the slopes to both sides come together with a smaller step where the objective is smooth, not at a kink
        bend = abs(up - down) if abs(near_up - near_down) > abs(up - down) / 2 else 0.0
        if max(bend, abs(wide - narrow)) > KINK * max(abs(up), abs(down), floor):
            kinks += 1
            continue
        checked += 1
        own = float(gradient[at])
        error = abs(own - wide) / max(abs(own), abs(wide), floor)
        if not error <= worst[0]:
            worst = (float(error) if np.isfinite(error) else np.inf, at, own, wide)
    return Verdict(name, values.size, checked, kinks, *worst)


def _slope(objective: _Objective, values: Array, at: tuple[int, ...], step: float, here: float) -> float:
    """How the objective grows from `here` with one element, to one side."""
    array = np.array(values)
    array[at] += step
    return (objective(array) - here) / step
