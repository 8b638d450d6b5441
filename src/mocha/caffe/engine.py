"""A Caffe net on a backend: its layers and parameters, and the programs that run all of it or some layers of it.

A program of some layers takes the blobs that come from outside the range as inputs, so that any range can be run on
whatever numbers the caller has put there. Gradients start from seeds: numbers for each element of the blobs that leave
the range, which the caller may change between forward and backward.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from mocha.backends import AbstractBackend, Executable
from mocha.caffe.blobs import blob_array, fit_array
from mocha.caffe.definition import loss_weights
from mocha.caffe.layer_types import CaffeLayer, layer_class
from mocha.caffe.layer_types.arrange import Filter
from mocha.caffe.layer_types.sources import HDF5Output, SourceOfCaffe
from mocha.data import Feed, Sink
from mocha.errors import ConfigError, MochaError, ShapeError
from mocha.graph import Graph, Kind, Phase, Program, Value, build_program, derive_gradients
from mocha.layers import Borrowed
from mocha.ops import Spec, StopGradient
from mocha.parameters import Parameter
from mocha.random import checked_seed

_numbers = itertools.count()
_MOST_PROGRAMS = 32
"""How many programs a net keeps: a Filter needs one for each number of rows that it lets through."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Some layers in a row, by their numbers, both included."""

    first: int
    last: int


@dataclasses.dataclass
class Lowered:
    """Some layers as a graph.

    Attributes:
        graph: their ops.
        first: name of a blob -> its first value in the graph; `graph.blobs` has the last one.
        inputs: names of the blobs that come from outside, and their specs.
        entering: the values that come to the layers from outside, or from those before them.
        forced: the bottoms whose gradient a layer's propagate_down asks for.
        leaving: names of the blobs that no layer of the range uses in their last version.
    """

    graph: Graph
    first: dict[str, Value]
    inputs: dict[str, Spec]
    entering: list[Value]
    forced: list[Value]
    leaving: list[str]


class Engine:
    """The layers of a net, its parameters, and its programs.

    Args:
        net: a `NetParameter`: upgraded, filtered, with splits.
        phase: TRAIN or TEST: which statistics, dropout and data it uses.
        backend: who holds the parameters and runs the programs. Nets on one backend share parameters by layer name.
        seed: of fillers, dropout and shuffling.

    Attributes:
        message: the net.
        layers: in the order in which they run.
        parameters: for each layer its blobs' parameters, those that belong to another layer included.
        specs: name of a blob -> its shape and type, as the sources have them now.
        counter: training passes so far.
        feeds: name of a source -> its stream of batches.
        closing: is called before programs are closed, for whoever still wants to read from them.

    Raises:
        ConfigError: a layer cannot be.
        ShapeError: shapes do not fit, the layer is named.
    """

    def __init__(self, net: Any, phase: Phase, backend: AbstractBackend, *, seed: int | None = None) -> None:
        self.message = net
        self.phase = phase
        self.backend = backend
        self.seed = checked_seed(seed)
        self.prefix = f"caffe{next(_numbers)}/"
        self.counter = 0
        self.layers: list[CaffeLayer] = []
        self.parameters: list[list[Parameter]] = []
        self.specs: dict[str, Spec] = {}
        self.feeds: dict[str, Feed] = {}
        self.sinks: dict[str, Sink] = {}
        self.held: dict[str, Spec] = {}
        self.closing: Callable[[], None] = lambda: None
        self._statistics: set[Parameter] = set()
        self._seeds: set[str] = set()
        self._executables: dict[Hashable, Executable] = {}
        try:
            self._make_layers()
        except BaseException:
            self.close()
            raise

    @property
    def force_backward(self) -> bool:
        """Whether gradients are wanted for everything."""
        return bool(self.message.force_backward)

    # -- making

    def _make_layers(self) -> None:
        """Layer after layer: shapes, parameters, who owns what."""
        owners: dict[str, Borrowed] = {}
        graph, names = Graph(self.phase), set[str]()
        for message in self.message.layer:
            with graph.within(message.name):
                layer = self._make_layer(message, names)
                specs = [graph.blobs[bottom].spec for bottom in layer.bottoms]
                layer = self._with_owners(layer, specs, owners)
                self.layers.append(layer)
                self._lower_layer(graph, layer, claim=True)
        self.specs = {name: value.spec for name, value in graph.blobs.items()}

    def _make_layer(self, message: Any, names: set[str]) -> CaffeLayer:
        key = message.name
        for number in itertools.count(2):  # two layers of one name have parameters of their own
            if key not in names:
                break
            key = f"{message.name}#{number}"
        names.add(key)
        layer = layer_class(message)(
            name=message.name or f"(unnamed {message.type})",
            bottoms=tuple(message.bottom),
            tops=tuple(message.top),
            about=message,
            param_key=key,
            loss_weights=loss_weights(message),
        )
        if len(message.propagate_down) not in (0, len(message.bottom)):
            layer.refuse(f"{len(message.propagate_down)} propagate_down entries; expected none or one a bottom")
        if isinstance(layer, SourceOfCaffe):
            source = layer.open(self.seed)
            if source is not None:
                self.feeds[layer.name] = Feed(source)
            else:
                self.held.update(layer.specs())
        if isinstance(layer, HDF5Output):
            self.sinks[layer.name] = layer.open_sink()
        return layer

    def _with_owners(self, layer: CaffeLayer, specs: Sequence[Spec], owners: dict[str, Borrowed]) -> CaffeLayer:
        """The layer with the shared parameters that earlier ones own; its own are remembered."""
        if not any(spec.name for spec in layer.about.param):
            return layer
        blobs = layer.blobs(*specs)
        found: list[Borrowed | None] = []
        for spec, blob in zip(layer.about.param, blobs, strict=False):
            found.append(owners.get(spec.name) if spec.name else None)
            if spec.name and spec.name not in owners:
                owners[spec.name] = Borrowed(layer.param_key, blob.name, learns=True)
        return layer.copy(owners=tuple(found)) if any(found) else layer

    # -- lowering

    def _lower_layer(self, graph: Graph, layer: CaffeLayer, *, claim: bool = False, count: int = -1) -> None:
        registry = self.backend.registry
        if isinstance(layer, SourceOfCaffe):
            specs = self.held if layer.name not in self.feeds else self.feeds[layer.name].source.specs
            for top in layer.tops:
                graph.input(top, specs[top])
            if claim:
                self.parameters.append([])
            return
        inputs = [graph.blobs[bottom] for bottom in layer.bottoms]
        borrowed = [registry.find(loan.key, loan.name) for loan in layer.borrows()]
        wanted = layer.parameters(*(x.spec for x in inputs), *(p.about.spec for p in borrowed))
        own = registry.claim(layer.name, layer.param_key, wanted) if wanted else ()
        if claim:
            mine, lent = iter(own), iter(borrowed)
            n = len(own) + len(borrowed)
            owners = [*layer.owners, *(None,) * n][:n]
            self.parameters.append([next(mine) if owner is None else next(lent) for owner in owners])
            blobs = layer.blobs(*(x.spec for x in inputs))
            kept = zip(self.parameters[-1], blobs, strict=True)
            self._statistics.update(parameter for parameter, blob in kept if not blob.learned)
        if isinstance(layer, Filter) and count >= 0:
            layer = layer.copy(count=count)
        params = [graph.parameter(p.key, p.about.spec) for p in (*own, *borrowed)]
        graph.phase = Phase.TEST if layer.about.phase else Phase.TRAIN  # a file may give a layer its own
        try:
            tops = layer.lower(graph, inputs, params)
        finally:
            graph.phase = self.phase
        if len(tops) != len(layer.tops):
            raise MochaError(
                f"layer {layer.name!r} ({layer.kind}) gave {len(tops)} values; expected {len(layer.tops)}."
            )
        for top, value in zip(layer.tops, tops, strict=True):
            graph.blobs[top] = value
            if value.producer is not None:
                value.name = top

    def lower(self, part: Range, counts: Mapping[str, int] | None = None, lead: int | None = None) -> Lowered:
        """Some layers as a graph.

        Args:
            part: the layers.
            counts: how many rows each Filter among them keeps.
            lead: number of the layer to begin with: those from there to the first of `part` are computed too, but get
                no gradients.
        """
        graph, first = Graph(self.phase), dict[str, Value]()
        inputs: dict[str, Spec] = {}
        used: dict[Value, None] = {}
        entering: list[Value] | None = None
        forced: list[Value] = []
        lead = part.first if lead is None else lead
        for number, layer in enumerate(self.layers[lead : part.last + 1], lead):
            if number == part.first != lead:
                graph.blobs.update((name, graph(StopGradient(), value)) for name, value in [*graph.blobs.items()])
                first = dict(graph.blobs)
                entering = list(first.values())
            with graph.within(layer.name):
                for i, bottom in enumerate(layer.bottoms):
                    if bottom not in graph.blobs:
                        inputs[bottom] = self.specs[bottom]
                        first[bottom] = graph.input(bottom, self.specs[bottom])
                    used[graph.blobs[bottom]] = None
                    if i < len(layer.about.propagate_down) and layer.about.propagate_down[i]:
                        forced.append(graph.blobs[bottom])
                self._lower_layer(graph, layer, count=(counts or {}).get(layer.name, -1))
                for top in layer.tops:
                    first.setdefault(top, graph.blobs[top])
                    if isinstance(layer, SourceOfCaffe):
                        inputs[top] = graph.blobs[top].spec
        made = {top for layer in self.layers[part.first : part.last + 1] for top in layer.tops}
        leaving = [
            name
            for name, value in graph.blobs.items()
            if name in made and (value not in used or self._weight_of(name, part)) and value.kind is not Kind.INPUT
        ]
        for value in graph.sources(Kind.STATE):
            value.name = self.prefix + value.name
        if entering is None:
            entering = [first[name] for name in inputs]
        return Lowered(graph, first, inputs, entering, forced, leaving)

    def _weight_of(self, name: str, part: Range) -> float:
        return next(
            (
                weight
                for layer in self.layers[part.first : part.last + 1]
                for top, weight in zip(layer.tops, layer.loss_weights, strict=False)
                if top == name and weight
            ),
            0.0,
        )

    @property
    def loss_weights(self) -> dict[str, float]:
        """Name of each blob -> what it counts in the objective."""
        weights = dict.fromkeys(self.specs, 0.0)
        for layer in self.layers:
            weights.update(zip(layer.tops, layer.loss_weights, strict=False))
        return weights

    def learnable(self) -> list[Parameter]:
        """All parameters, each once, in the order of the layers: what solver states are about."""
        return list(dict.fromkeys(p for group in self.parameters for p in group))

    def learning(self) -> list[Parameter]:
        """Those of them that have a gradient."""
        return [p for p in self.learnable() if (p.about.rate or self.force_backward) and p not in self._statistics]

    # -- programs

    def seeded(self, lowered: Lowered) -> dict[str, Value]:
        """Name of each blob that leaves -> the state that its gradient starts from."""
        found = {}
        for name in lowered.leaving:
            spec = lowered.graph.blobs[name].spec
            if np.issubdtype(spec.dtype, np.floating):
                key = self.seed_key(name, spec.shape)
                self._seeds.add(key)
                found[name] = lowered.graph.state(key, spec)
        return found

    def seed_key(self, name: str, shape: Sequence[int]) -> str:
        """The key of the state that a blob's gradient starts from; what lies behind a Filter has several shapes."""
        return f"{self.prefix}seed/{'x'.join(map(str, shape))}/{name}"

    def wanted(self, lowered: Lowered) -> list[Value]:
        """What gradients are asked for: parameters, and with `force_backward` what comes in."""
        graph = lowered.graph
        present = {value.name for value in graph.sources(Kind.PARAMETER)}
        wrt = [graph.parameter(p.key, p.about.spec) for p in self.learning() if p.key in present]
        if self.force_backward:
            wrt += [lowered.first[name] for name in lowered.inputs if name in lowered.first]
        return list(dict.fromkeys([*wrt, *lowered.forced]))

    def program(self, part: Range, counts: Mapping[str, int] | None, lead: int) -> Program:
        """Forward and backward of some layers, everything kept readable."""
        lowered = self.lower(part, counts, lead)
        graph = lowered.graph
        seeds = self.seeded(lowered)
        wrt = self.wanted(lowered)
        if part.first > 0:
            wrt = list(dict.fromkeys([*wrt, *lowered.entering]))
        found = derive_gradients(graph, {graph.blobs[name]: seed for name, seed in seeds.items()}, wrt)
        gradients = {name: found[value] for name, value in lowered.first.items() if value in found}
        gradients.update((value.name, found[value]) for value in wrt if value.kind is Kind.PARAMETER and value in found)
        graph.losses.clear()  # the face adds up losses from the blobs
        program = build_program(self.message.name or "net", graph, gradients, keep=None, **self.backend.wishes)
        self.backend.allocate_states(program)
        return program

    def executable(self, part: Range, counts: Mapping[str, int], lead: int | None = None) -> Executable:
        """The compiled program of some layers."""
        lead = part.first if lead is None else lead
        key = part, tuple(sorted(counts.items())), lead
        return self.compiled(key, lambda: self.program(part, counts, lead))

    def compiled(self, key: Hashable, make: Callable[[], Program]) -> Executable:
        """A program that was compiled before under a key, or is now; it is kept until shapes change."""
        found = self._executables.pop(key, None)
        if found is None:
            self.initialize()
            if len(self._executables) >= _MOST_PROGRAMS:
                self.closing()
                self._executables.pop(next(iter(self._executables))).close()
            found = self.backend.compile(make())
        self._executables[key] = found  # the last one is the one used last
        return found

    def initialize(self) -> None:
        """Give parameters their first values, those that have none: what the net's message has, or their fillers'."""
        for layer, group in zip(self.layers, self.parameters, strict=True):
            given = layer.about.blobs
            if given and len(given) != len(group):
                layer.refuse(f"{len(given)} blobs in the net's file; expected {len(group)}")
            for i, parameter in enumerate(group):
                if given and not parameter.initialized:
                    where = f"layer {layer.name!r}, blob {i}"
                    array = fit_array(blob_array(given[i], where), parameter.about.spec.shape, where)
                    self.backend.registry.assign(parameter, array)
                elif not parameter.initialized:
                    self.backend.registry.initialize(parameter, self.seed)

    def scalars(self, *, advance: bool) -> dict[str, float]:
        """What random ops read; a training pass counts."""
        now = {"seed": float(self.seed), "counter": float(self.counter)}
        self.counter += advance
        return now

    # -- shapes

    def reshape(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Give blobs that the user fills other shapes; all others follow.

        Raises:
            ShapeError: a layer cannot follow; nothing has changed then.
        """
        changed = {name: Spec(tuple(shape), self.held[name].dtype) for name, shape in shapes.items()}
        if all(self.held[name] == spec for name, spec in changed.items()):
            return
        before = self.held
        self.held = {**before, **changed}
        try:
            lowered = self.lower(Range(0, len(self.layers) - 1))
        except (ShapeError, ConfigError):
            self.held = before
            raise
        self.specs = {name: value.spec for name, value in lowered.graph.blobs.items()}
        self._close_programs()
        store = self.backend.store
        for key in self._seeds:
            store.free(key)
        self._seeds.clear()
        for state in lowered.graph.sources(Kind.STATE):  # of recurrent layers: they begin anew with another batch size
            if state.name in store and store.view(state.name).shape != state.shape:
                store.allocate(state.name, np.zeros(state.shape, state.dtype))

    def move(self, backend: AbstractBackend) -> None:
        """Go to another backend: parameters that it holds are taken as they are, others are brought there.

        Raises:
            ShapeError: a parameter there has another shape; nothing has changed then.
        """
        old, parameters, statistics = self.backend, self.parameters, self._statistics
        theirs = {parameter.key for parameter in backend.registry}
        self.backend, self.parameters, self._statistics = backend, [], set()
        graph = Graph(self.phase)
        try:
            for layer in self.layers:
                self._lower_layer(graph, layer, claim=True)
        except MochaError:
            self.backend, self.parameters, self._statistics = old, parameters, statistics
            raise
        self._close_programs()
        for group, before in zip(self.parameters, parameters, strict=True):
            for parameter, mine in zip(group, before, strict=True):
                if parameter.key not in theirs:
                    backend.registry.assign(parameter, old.store.read(mine.key))
        for state in graph.sources(Kind.STATE):
            if (key := self.prefix + state.name) in old.store:
                backend.store.allocate(key, old.store.read(key))

    def _close_programs(self) -> None:
        self.closing()
        for executable in self._executables.values():
            executable.close()
        self._executables.clear()

    def close(self) -> None:
        """Stop threads, close files, give memory back."""
        for feed in self.feeds.values():
            feed.close()
        for sink in self.sinks.values():
            sink.close()
        self._close_programs()
