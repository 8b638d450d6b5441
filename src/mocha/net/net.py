"""A net: layers connected by named blobs, on a backend."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mocha.backends import AbstractBackend, Executable
from mocha.data import Feed, Sink
from mocha.errors import ConfigError, MochaError, StateError, TopologyError, did_you_mean
from mocha.graph import Graph, Phase, Program, Section, Value, build_program, derive_gradients
from mocha.layers import Layer, OutputLayer, SourceLayer
from mocha.layers.base import key_of
from mocha.net.listing import describe, element
from mocha.net.picture import net_picture
from mocha.net.statistics import RunningMeans
from mocha.net.topology import check_names, checked_layers, sorted_layers
from mocha.net.views import BlobView, ParameterView
from mocha.ops import Array, Spec
from mocha.parameters import Parameter
from mocha.random import checked_seed
from mocha.visual.graphviz import write_graph
from mocha.visual.net_picture import net_dot
from mocha.visual.page import card, paragraph


@dataclasses.dataclass(frozen=True)
class _Claim:
    """A layer's parameters in the registry."""

    layer: str
    parameters: tuple[Parameter, ...]


class Net:
    """Layers connected by named blobs.

    Everything about the net is checked when it is made: connections, shapes, data, shared parameters.

    Args:
        name: what it is called in messages.
        backend: where it runs, and who holds its parameters.
        layers: in any order.
        seed: of initial weights, dropout and shuffling, 0 to 2**32 - 1; None for `MOCHA_SEED` from the environment, or
            a fixed number: a net is reproducible unless you vary this.
        force_backward: derive gradients for the data blobs too.
        in_order: run the layers in the order given, as Caffe does: a blob may then be made anew by later layers, and
            each layer reads what its bottoms are at its place.

    Attributes:
        layers: in running order.
        counter: training passes so far; with the seed it determines what dropout draws.

    Raises:
        TopologyError: the layers do not connect.
        ShapeError: shapes do not fit, the layer is named.
        FormatError: the data are not what they should be.
    """

    def __init__(
        self,
        name: str,
        backend: AbstractBackend,
        layers: Sequence[Layer],
        *,
        seed: int | None = None,
        force_backward: bool = False,
        in_order: bool = False,
    ) -> None:
        if backend.closed:
            raise StateError(f"net {name!r}: backend {backend.name!r} was shut down; make a new one.")
        self.name = name
        self.backend = backend
        self.seed = checked_seed(seed)
        self.layers = checked_layers(name, layers) if in_order else sorted_layers(name, layers)
        self.counter = 0
        self._force_backward = force_backward
        self._frozen: set[str] = set()
        self._claims: list[_Claim] = []
        self._borrowed: list[Parameter] = []
        self._feeds: dict[str, Feed] = {}
        self._sinks: dict[str, Sink] = {}
        self._executables: dict[object, Executable] = {}
        self._last: Executable | None = None
        self._means = RunningMeans()
        self._closed = False
        self.version = 0
        try:
            self._open_data()
            self._claim_parameters()
            for layer in self.layers:
                if isinstance(layer, OutputLayer):
                    self._sinks[layer.name] = layer.open()
        except BaseException:
            self.close()
            raise

    # -- what it is made of

    def reseed(self, seed: int) -> None:
        """Take another seed for dropout, for shuffling, and for parameters that have no values yet."""
        if checked_seed(seed) != self.seed:
            self.seed = checked_seed(seed)
            for feed in self._feeds.values():
                feed.close()
            self._feeds.clear()
            self._open_data()

    def _open_data(self) -> None:
        for layer in self.layers:
            if isinstance(layer, SourceLayer):
                self._feeds[layer.name] = Feed(layer.open(self.seed), prefetch=layer.prefetch)
        dtypes = {spec.dtype for feed in self._feeds.values() for spec in feed.source.specs.values()}
        if len(dtypes) > 1:
            raise TopologyError(
                f"net {self.name!r}: its data layers give {', '.join(sorted(map(str, dtypes)))}; expected one type "
                "for all. "
                "Convert the data."
            )

    def _claim_parameters(self) -> None:
        graph = self.lower(Phase.TRAIN)
        marked = [claim.layer for claim in self._claims] + list(graph.losses) + [s.layer for s in graph.statistics]
        marked += graph.outputs
        check_names(self.name, self.layers, marked)

    def lower(self, phase: Phase) -> Graph:
        """The net as a graph of ops for a phase, its forward section."""
        graph = Graph(phase)
        held = {p.key for p in self._held()}
        self._claims, self._borrowed = [], []
        for layer in self.layers:
            with graph.within(layer.name):
                if isinstance(layer, SourceLayer):
                    for top, spec in self._feeds[layer.name].source.specs.items():
                        graph.input(top, spec)
                    continue
                inputs = [graph.blobs[bottom] for bottom in layer.bottoms]
                params = self._parameters_of(graph, layer, [value.spec for value in inputs])
                # what a frozen layer keeps is used, and stays: batch normalisation takes its running statistics
                graph.phase = Phase.TEST if held.intersection(p.name for p in params) else phase
                outputs = layer.lower(graph, inputs, params)
                names = layer.bottoms if layer.in_place else layer.tops
                if not isinstance(outputs, (list, tuple)):
                    raise MochaError(f"{type(layer).__name__}.lower gave {outputs}; expected a list of values.")
                if len(outputs) != len(names):
                    raise MochaError(f"{type(layer).__name__}.lower gave {len(outputs)} values; expected {len(names)}.")
                for top, value in zip(names, outputs, strict=True):
                    graph.blobs[top] = value
                    if value.producer is not None:
                        value.name = top
        graph.phase = phase
        return graph

    def _parameters_of(self, graph: Graph, layer: Layer, inputs: list[Spec]) -> list[Value]:
        loans = layer.borrows()
        borrowed = tuple(self.backend.registry.find(loan.key, loan.name) for loan in loans)
        wanted = layer.parameters(*inputs, *(p.about.spec for p in borrowed))
        claimed = self.backend.registry.claim(layer.name, key_of(layer), wanted) if wanted else ()
        # what learns from here and has no layer in this net is this layer's to train, freeze and save
        known = self.parameters
        adopted = tuple(p for p, loan in zip(borrowed, loans, strict=True) if loan.learns and p not in known)
        if claimed or adopted:
            self._claims.append(_Claim(layer.name, (*claimed, *adopted)))
        self._borrowed += borrowed
        return [graph.parameter(p.key, p.about.spec) for p in (*claimed, *borrowed)]

    def derive(self, graph: Graph) -> dict[str, Value]:
        """Append the gradients of the objective to a graph of this net.

        Returns:
            name of a blob, or key of a parameter -> value of its gradient.
        """
        wrt = [graph.parameter(p.key, p.about.spec) for p in self.trainable()]
        if self._force_backward:
            wrt += [graph.blobs[top] for feed in self._feeds.values() for top in feed.source.specs]
        gradients = derive_gradients(graph, dict.fromkeys(graph.losses.values(), 1.0), wrt)
        named = {name: gradients[value] for name, value in graph.blobs.items() if value in gradients}
        named.update((value.name, gradients[value]) for value in wrt if value in gradients)
        return named

    @property
    def parameters(self) -> list[Parameter]:
        """All parameters of the net, each once, in the order of the layers."""
        return list(dict.fromkeys(p for claim in self._claims for p in claim.parameters))

    @property
    def borrowed(self) -> list[Parameter]:
        """The parameters of other layers, here or in other nets, that layers of the net use."""
        return list(dict.fromkeys(self._borrowed))

    def trainable(self) -> list[Parameter]:
        """The parameters that no frozen layer holds, and whose own rate is not 0."""
        held = self._held()
        return [p for p in self.parameters if p not in held and p.about.rate]

    def _held(self) -> set[Parameter]:
        """The parameters of frozen layers."""
        return {p for claim in self._claims if claim.layer in self._frozen for p in claim.parameters}

    def parameters_by_layer(self) -> dict[str, tuple[Parameter, ...]]:
        """Name of a layer -> its parameters."""
        return {claim.layer: claim.parameters for claim in self._claims}

    # -- parameters

    def init(self) -> None:
        """Give the parameters that have no values yet their first ones. Done by itself before the first run.

        Raises:
            StateError: the backend was shut down, or made to forget its parameters.
        """
        for parameter in dict.fromkeys([*self.parameters, *self._borrowed]):
            if parameter.key not in self.backend.store:
                raise StateError(
                    f"net {self.name!r}: the backend holds {parameter.key} no more, after a shutdown or a "
                    "registry_reset; make a new net."
                )
            if not parameter.initialized:
                self.backend.registry.initialize(parameter, self.seed)

    @property
    def params(self) -> ParameterView:
        """Parameters by layer and name: `net.params["conv1"]["filter"]` reads a copy, and can be assigned."""
        return ParameterView(self)

    def freeze(self, *layers: str) -> None:
        """Keep the parameters of these layers as they are. Effective at once, also while a solver runs.

        A frozen layer with parameters does in training what it does in testing: `BatchNormLayer` uses its running
        averages, and leaves them.
        """
        self._set_frozen(self._frozen | self._named(layers))

    def unfreeze(self, *layers: str) -> None:
        """Let the parameters of these layers learn again."""
        self._set_frozen(self._frozen - self._named(layers))

    def freeze_all(self) -> None:
        """Freeze every layer."""
        self._set_frozen({claim.layer for claim in self._claims})

    def unfreeze_all(self) -> None:
        """Freeze no layer."""
        self._set_frozen(set())

    def is_frozen(self, layer: str) -> bool:
        """Whether the layer is frozen."""
        return bool(self._named([layer]) & self._frozen)

    def _named(self, names: Iterable[str]) -> set[str]:
        known = {layer.name for layer in self.layers}
        for name in names:
            if name not in known:
                raise TopologyError(f"net {self.name!r} has no layer {name!r}. {did_you_mean(name, known)}")
        return set(names)

    def _set_frozen(self, layers: set[str]) -> None:
        if layers != self._frozen:
            self._frozen = layers
            self.version += 1
            self._executables.clear()

    def draw(
        self, path: str | os.PathLike[str], *, direction: str = "TB", blobs: bool = False, phase: str = "train"
    ) -> Path:
        """Draw the net: a box a layer, an arrow a blob.

        Args:
            path: the file; its ending says the format: .svg, .png, .pdf, or .dot for a description in the language of
                Graphviz. All but the last need Graphviz's program ``dot``.
            direction: where arrows lead: "TB" (top to bottom), "LR", "BT" or "RL".
            blobs: draw blobs as nodes too, and each layer as one. Else normalisations and activations stand in the box
                of the layer before them, where nobody else reads what lies between.
            phase: "train" or "test": in which operations are counted.

        Returns:
            the path.

        Raises:
            ConfigError: a direction, phase or format that cannot be.
            MochaError: Graphviz is not installed, or fails.
        """
        return write_graph(path, net_dot(net_picture(self, _checked_phase(phase)), direction, blobs=blobs))

    # -- running

    def executable(self, key: object, program: Any) -> Executable:
        """The executable under a key, made from `program()` when there is none yet."""
        if self._closed or self.backend.closed:
            raise StateError(f"net {self.name!r}: the net or its backend was shut down; make a new one.")
        if key not in self._executables:
            made = program()
            self.backend.allocate_states(made)
            self._executables[key] = self.backend.compile(made)
        return self._executables[key]

    def forget(self, key: object) -> None:
        """Drop the executable under a key. What it last computed stays readable."""
        self._executables.pop(key, None)

    def _program(self, phase: Phase, keep: Iterable[str] | None) -> Program:
        graph = self.lower(phase)
        gradients = self.derive(graph) if phase is Phase.TRAIN and keep is None and graph.losses else {}
        return build_program(self.name, graph, gradients, keep=keep, **self.backend.wishes)

    def _by_hand(self, phase: Phase) -> Executable:
        return self.executable(phase, lambda: self._program(phase, None))

    @property
    def program(self) -> Program:
        """The program that `forward()` and `backward()` run."""
        return self._by_hand(Phase.TRAIN).program

    def next_batch(self) -> dict[str, Array]:
        """The next batch of each data layer: name of a blob -> array."""
        return {top: array for feed in self._feeds.values() for top, array in feed.next().items()}

    def run(self, executable: Executable, *sections: Section, feeds: Mapping[str, Array] | None = None) -> None:
        """Run sections of an executable of this net. The next batch is loaded if FORWARD is among them.

        Args:
            executable: from `executable`.
            sections: which, in order.
            feeds: arrays that take the place of the data layers'.
        """
        batch: dict[str, Array] = {}
        if Section.FORWARD in sections:
            if self._closed or self.backend.closed:
                raise StateError(f"net {self.name!r}: the net or its backend was shut down; make a new one.")
            self.init()
            needed = [name for feed in self._feeds.values() for name in feed.source.specs]
            batch = {} if feeds is not None and all(name in feeds for name in needed) else self.next_batch()
            batch.update(self._converted(feeds or {}))
            executable.block.set({"seed": self.seed, "counter": self.counter})
            if executable.program.phase is Phase.TRAIN:
                self.counter += 1
        executable.run(*sections, feeds=batch)
        self._last = executable
        if Section.FORWARD in sections:
            for layer, values in executable.program.outputs.items():
                self._sinks[layer].write([executable.read(value) for value in values])

    def _converted(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        specs = {name: spec for feed in self._feeds.values() for name, spec in feed.source.specs.items()}
        for name in feeds:
            if name not in specs:
                raise StateError(f"net {self.name!r} has no input {name!r}. {did_you_mean(name, specs)}")
        return {name: np.array(array, specs[name].dtype) for name, array in feeds.items()}

    def _pass(self, executable: Executable, feeds: Mapping[str, Array] | None = None) -> None:
        """A forward pass by hand, and what layers keep of it at once: running statistics, in training.

        A solver's step does that with its own updates.
        """
        after = (Section.UPDATE,) if executable.program.section(Section.UPDATE) else ()
        self.run(executable, Section.FORWARD, *after, feeds=feeds)
        self._means.add(executable)

    def forward(self, *, phase: str = "train", feeds: Mapping[str, Array] | None = None) -> float:
        """Run the net on the next batch.

        Args:
            phase: "train" or "test"; in training only, dropout drops, and batch normalisation uses the batch's
                statistics and moves its running ones.
            feeds: name of a data blob -> array to use in the place of the data layer's.

        Returns:
            the objective: the sum of all losses.
        """
        executable = self._by_hand(_checked_phase(phase))
        self._pass(executable, feeds)
        return math.fsum(self.losses().values())

    def backward(self) -> None:
        """Compute the gradients of the objective of the last `forward()`, without regularisation.

        Raises:
            StateError: the last run was no training pass by hand.
        """
        executable = self._by_hand(Phase.TRAIN)
        if self._last is not executable:
            raise StateError(f"net {self.name!r}: backward() needs a forward() in the training phase before it.")
        executable.run(Section.BACKWARD)

    def forward_backward(self, *, feeds: Mapping[str, Array] | None = None) -> float:
        """`forward()` and `backward()`; returns the objective."""
        objective = self.forward(feeds=feeds)
        self.backward()
        return objective

    def forward_epoch(self, *, phase: str = "test") -> dict[str, float]:
        """Run batches until the data's epoch ends, and average the statistics over them.

        Where the batch size does not divide the number of examples, the last batch holds some of the next epoch's.

        Returns:
            the statistics, see `statistics`.
        """
        kind = _checked_phase(phase)
        executable = self.executable(("epoch", kind), lambda: self._program(kind, ()))
        epoch = self.epoch
        while self.epoch == epoch:
            self._pass(executable)
        return self.statistics()

    def predicting(self, blob: str) -> Executable:
        """An executable of its own that computes one blob in the testing phase; for `Predictor`."""
        known = {name for layer in self.layers for name in layer.tops}
        if blob not in known:
            raise StateError(f"net {self.name!r} has no blob {blob!r}. {did_you_mean(blob, known)}")
        self.init()
        return self.executable(("predict", blob), lambda: self._prediction(blob))

    def _prediction(self, blob: str) -> Program:
        graph = self.lower(Phase.TEST)
        graph.losses.clear()
        graph.statistics.clear()
        graph.outputs.clear()
        return build_program(self.name, graph, {}, keep=[blob], **self.backend.wishes)

    # -- what came of it

    @property
    def epoch(self) -> int:
        """How many times the first data layer's examples were all used; noise has no epochs and does not count."""
        feed = next(self._epochal(), None)
        if feed is None:
            raise StateError(f"net {self.name!r}: no data layer has examples that end, so there are no epochs.")
        return feed.epoch

    @property
    def has_epochs(self) -> bool:
        """Whether there is a data layer with examples that can all be used."""
        return any(True for _ in self._epochal())

    def _epochal(self) -> Iterator[Feed]:
        return (feed for feed in self._feeds.values() if not feed.source.endless)

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """Name of a data layer -> its stream of batches."""
        return self._feeds

    def outputs(self, layer: str) -> list[list[Array]]:
        """What a `MemoryOutputLayer` has kept: for each of its bottoms the arrays of all forward passes so far.

        Raises:
            StateError: there is no such layer, or it keeps nothing in memory.
        """
        if layer not in self._sinks:
            raise StateError(f"net {self.name!r} has no output layer {layer!r}. {did_you_mean(layer, self._sinks)}")
        return self._sinks[layer].collected

    def reset_outputs(self) -> None:
        """Empty what the `MemoryOutputLayer`s have kept."""
        for sink in self._sinks.values():
            sink.reset()

    def rewind(self) -> None:
        """Start the data from the beginning."""
        for feed in self._feeds.values():
            feed.seek(0)

    def losses(self) -> dict[str, float]:
        """Name of a loss layer -> its value in the last run."""
        last = self.last
        return {name: float(last.read(value)) for name, value in last.program.losses.items()}

    def statistics(self) -> dict[str, float]:
        """What layers reported, averaged over the batches since `reset_statistics`: ``<layer>-<key>`` -> mean."""
        return self._means.means()

    def statistics_text(self) -> list[str]:
        """The statistics as lines for people."""
        return self._means.lines()

    def reset_statistics(self) -> None:
        """Forget the averages."""
        self._means.reset()

    @property
    def last(self) -> Executable:
        """The executable that ran last.

        Raises:
            StateError: none did, or the net was closed.
        """
        if self._closed:
            raise StateError(f"net {self.name!r} was closed; read what you need before.")
        if self._last is None:
            raise StateError(f"net {self.name!r} has not run yet; call net.forward() first.")
        return self._last

    @property
    def blobs(self) -> BlobView:
        """Blobs by name, as the last run left them: `net.blobs["conv"]` is a copy."""
        return BlobView(self, gradient=False)

    @property
    def gradients(self) -> BlobView:
        """Gradients by name of the blob, or by `<layer>___<parameter>`, as the last backward left them."""
        return BlobView(self, gradient=True)

    output_blobs = blobs
    diff_blobs = gradients

    def close(self) -> None:
        """Stop threads, close files, give memory back. The parameters stay with the backend."""
        self._closed = True
        for feed in self._feeds.values():
            feed.close()
        for sink in self._sinks.values():
            sink.close()
        for executable in self._executables.values():
            executable.close()
        self._executables.clear()

    def __enter__(self) -> Net:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __str__(self) -> str:
        return describe(self)

    def _repr_html_(self) -> str:
        try:
            return element(self)
        except MochaError as error:  # its backend was shut down
            return card(repr(self), paragraph(str(error)))

    def __repr__(self) -> str:
        return f"<net {self.name!r}: {len(self.layers)} layers on the {self.backend.name} backend>"


def _checked_phase(phase: str) -> Phase:
    """A phase by its name.

    Raises:
        ConfigError: there is no such phase.
    """
    if phase not in ("train", "test"):
        raise ConfigError(f"phase is {phase!r}; expected 'train' or 'test'.")
    return Phase(phase)
