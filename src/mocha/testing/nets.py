"""The gradients of a whole net against central differences of its objective: for nets with layers of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from mocha.errors import ConfigError
from mocha.graph.listing import table
from mocha.layers import Layer, MemoryDataLayer, SourceLayer
from mocha.net import Net
from mocha.ops import Array

STEP = 1e-5
"""Half the step of a difference, times the number's magnitude where that is above 1."""

TOLERANCE = 1e-5
"""The largest relative error that passes. A wrong formula is off by far more."""

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
    """

    name: str
    size: int
    checked: int
    kinks: int
    error: float
    at: tuple[int, ...]
    gradient: float
    difference: float

    @property
    def ok(self) -> bool:
        """Whether the gradient was found right, in one element at least."""
        return self.checked > 0 and self.error <= TOLERANCE


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
            told = f"WRONG at {v.at}: {v.gradient:.6g}, differences say {v.difference:.6g}"
            told = "right" if v.ok else told if v.checked else "NOT CHECKED: only kinks were found"
            rows.append((v.name, str(v.size), str(v.checked), str(v.kinks), f"{v.error:.1e}", told))
        head = ("gradient of", "elements", "checked", "at kinks", "worst error", "verdict")
        wrong = sum(not v.ok for v in self.verdicts)
        summary = f"{wrong} of {len(rows)} gradients are wrong or were not checked" if wrong else "all are right"
        verdict = f"net {self.net!r}: {summary}."
        return f"{table(head, rows, right=(1, 2, 3, 4))}\n{verdict}"


def check_gradients(net: Net, *, elements: int = 20, seed: int = 0) -> GradientReport:
    """Hold the gradients of a net's objective against central differences, for each parameter and each data blob.

    A twin of the net is made in float64, on a backend of the same kind, with the net's parameters, its next batch, and
    dropout masks that stay the same. The net itself is left as it is, but for the batch that is taken.

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
    with type(net.backend)() as backend, Net(net.name, backend, layers, seed=net.seed, force_backward=True) as twin:
        for layer, parameters in net.params.items():
            for name in parameters:
                twin.params[layer][name] = parameters[name]
        twin.counter = net.counter
        twin.forward_backward()
        if not twin.losses():
            raise ConfigError(f"net {net.name!r} has no loss layer, so it has no gradients; add one.")
        found = [_verdict(*entry, elements, rng) for entry in _entries(twin, batch, net.counter)]
    return GradientReport(net.name, tuple(found))


_Objective = Callable[[Array], float]


def _entries(twin: Net, batch: dict[str, Array], counter: int) -> Iterator[tuple[str, Array, Array, _Objective]]:
    """Name, values, gradient, and the objective as a function of the values, for all that has a gradient."""

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

        yield f"{layer}/{name}", values, gradients[parameter.key], changed
        twin.params[layer][name] = values
    for blob, array in batch.items():
        if blob in gradients:

            def fed(changed_array: Array, blob: str = blob) -> float:
                return objective({**batch, blob: changed_array})

            yield blob, array, gradients[blob], fed


def _verdict(
    name: str, values: Array, gradient: Array, objective: _Objective, elements: int, rng: np.random.Generator
) -> Verdict:
    """Check some elements of one array."""
    floor = FLOOR * float(np.abs(gradient).max(initial=0.0))
    here = objective(values)
    checked = kinks = 0
    worst: tuple[float, tuple[int, ...], float, float] = (0.0, (), 0.0, 0.0)
    for flat in rng.permutation(values.size):
        if checked == elements or kinks > 10 * elements:
            break
        at = tuple(int(i) for i in np.unravel_index(int(flat), values.shape))
        step = STEP * max(1.0, abs(float(values[at])))
        up, down = (_slope(objective, values, at, end, here) for end in (step, -step))
        near = (_slope(objective, values, at, end, here) for end in (step / 4, -step / 4))
        wide, narrow = (up + down) / 2, sum(near) / 2
        if max(abs(up - down), abs(wide - narrow)) > KINK * max(abs(up), abs(down), floor, FLOOR * FLOOR):
            kinks += 1
            continue
        checked += 1
        own = float(gradient[at])
        error = abs(own - wide) / max(abs(own), abs(wide), floor, FLOOR * FLOOR)
        if not error <= worst[0]:
            worst = (float(error) if np.isfinite(error) else np.inf, at, own, wide)
    return Verdict(name, values.size, checked, kinks, *worst)


def _slope(objective: _Objective, values: Array, at: tuple[int, ...], step: float, here: float) -> float:
    """How the objective grows from `here` with one element, to one side."""
    array = np.array(values)
    array[at] += step
    return (objective(array) - here) / step
