"""Runs a net's layers on blobs that users see and change: the state behind `mocha.caffe.Net`."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

import numpy as np

from mocha.backends import AbstractBackend, Executable
from mocha.caffe.blob import NetBlob, ParameterBlob
from mocha.caffe.engine import Engine, Range
from mocha.caffe.layer_types import CaffeLayer
from mocha.caffe.layer_types.arrange import Filter, Split
from mocha.caffe.layer_types.recurrent import Recurrent
from mocha.caffe.layer_types.sources import DummyData, MemoryData, SourceOfCaffe
from mocha.errors import StateError
from mocha.graph import Phase, Program, Section, Value
from mocha.ops import Array, Shape
from mocha.parameters import Parameter, Store

Hook = Callable[[int], object]

_EXPOSED: WeakKeyDictionary[Store, dict[str, int]] = WeakKeyDictionary()
"""Of each store, whose parameters several nets may share: key of a parameter that users may hold -> the references that
its memory had before."""


class Runner:
    """The blobs of a net, and what has been computed into them.

    Args:
        engine: the layers and their programs.

    Attributes:
        engine: the same.
        blobs: name -> blob, in the order in which layers make them.
        hooks: what is called with a layer's number, under "before_forward", "after_forward", "before_backward" and
            "after_backward". With any, layers are run one by one.
        memory: data and labels of the MemoryData layer, and where the next batch begins.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.backend = engine.backend
        weights = engine.loss_weights
        self.blobs: OrderedDict[str, NetBlob] = OrderedDict(
            (name, NetBlob(spec.shape, weights[name], self._asker(name))) for name, spec in engine.specs.items()
        )
        self.hooks: dict[str, list[Hook]] = {}
        self.memory: tuple[Array, Array, int] | None = None
        self._asked: dict[str, Shape] = {}
        self._ran: dict[Range, Executable] = {}
        self._states: dict[str, Array] = {}
        self._overwritten: dict[str, Array] = {}
        self._exposed = _EXPOSED.setdefault(self.backend.store, {})
        self._parameter_blobs: dict[Parameter, ParameterBlob] = {}
        self._shown = {
            top: layer.shown
            for layer in engine.layers
            if type(layer).shown is not CaffeLayer.shown
            for top in layer.tops
        }
        engine.closing = self._read_pending
        for layer in engine.layers:
            if isinstance(layer, DummyData):
                for top, value in layer.constants().items():
                    self.blobs[top].data[...] = value

    def _asker(self, name: str) -> Callable[[Shape], None]:
        def asked(shape: Shape) -> None:
            self._asked[name] = shape
            self.blobs[name].values.reshape(shape)
            self.blobs[name].gradients.reshape(shape)

        return asked

    @property
    def everything(self) -> Range:
        """All layers."""
        return Range(0, len(self.engine.layers) - 1)

    # -- parameters

    def parameter_blob(self, parameter: Parameter) -> ParameterBlob:
        """What a user sees of a parameter."""
        if parameter not in self._parameter_blobs:
            shape = parameter.about.spec.shape
            self._parameter_blobs[parameter] = ParameterBlob(lambda: self._expose(parameter.key), shape)
        return self._parameter_blobs[parameter]

    def _expose(self, key: str) -> Array:
        """The array of a parameter itself, for somebody who may change it now or later."""
        array: Array = self.backend.store.view(key)
        self._exposed.setdefault(key, sys.getrefcount(_owner(array)))
        return array[...]

    def _note_changes(self) -> None:
        """Tell the backend of parameters that may have been changed since the last run."""
        if self._exposed:
            self.backend.store.changed()
        for key, references in list(self._exposed.items()):
            # gone, or nobody holds it any more
            if key not in self.backend.store or sys.getrefcount(_owner(self.backend.store.view(key))) <= references:
                del self._exposed[key]

    def clear_diffs(self) -> None:
        """Make the parameters' gradients 0."""
        for blob in self._parameter_blobs.values():
            blob.clear_diff()

    def show_updates(self, before: Mapping[str, Array]) -> None:
        """Let the parameters' diff be what the last update took away, as in Caffe.

        Args:
            before: the values before it.
        """
        for parameter, blob in self._parameter_blobs.items():
            if parameter.key in before:
                blob.follow_diff(_difference(before[parameter.key], self.backend.store.read(parameter.key)))

    def move(self, backend: AbstractBackend) -> None:
        """Have the net's parameters from another backend, see `Engine.move`."""
        self.engine.move(backend)
        self.backend = backend
        self._exposed = _EXPOSED.setdefault(backend.store, {})
        self._parameter_blobs.clear()
        self._ran.clear()

    # -- forward

    def forward(self, part: Range) -> float:
        """Run layers forward; gives the sum of the losses that they made."""
        self.settle()
        self.engine.scalars(advance=self.engine.phase is Phase.TRAIN)
        for step in self._steps(part, "forward"):
            self._call("before_forward", step.first)
            self._run_forward(step)
            self._call("after_forward", step.last)
        weights = self.engine.loss_weights
        made = dict.fromkeys(top for layer in self._layers(part) for top in layer.tops)
        return float(sum(weights[name] * self.blobs[name].data.sum() for name in made if weights[name]))

    def _layers(self, part: Range) -> list[CaffeLayer]:
        return self.engine.layers[part.first : part.last + 1]

    def _steps(self, part: Range, way: str) -> list[Range]:
        if not self.hooks.get(f"before_{way}") and not self.hooks.get(f"after_{way}"):
            return [part]
        return [Range(i, i) for i in range(part.first, part.last + 1)]

    def _call(self, hook: str, layer: int) -> None:
        for function in self.hooks.get(hook, ()):
            function(layer)

    def _run_forward(self, part: Range) -> None:
        self._load_batches(part)
        executable = self.engine.executable(part, self._filter_counts(part))
        self._states.update(self._recurrent_states(part))
        self._set_scalars(executable)
        self._note_changes()
        self._note_overwritten(executable)
        executable.run(Section.FORWARD, feeds=self._feeds(executable))
        self._ran = {ran: e for ran, e in self._ran.items() if ran.last < part.first or part.last < ran.first}
        self._ran[part] = executable
        self._follow_values(executable)
        self._hand_out(executable)

    def _hand_out(self, executable: Executable) -> None:
        for name, values in executable.program.outputs.items():
            self.engine.sinks[name].write([executable.read(value) for value in values])

    def _set_scalars(self, executable: Executable) -> None:
        executable.block.set({"seed": self.engine.seed, "counter": max(self.engine.counter - 1, 0)})

    def _feeds(self, executable: Executable) -> dict[str, Array]:
        """Blobs as they are, for what comes from outside."""
        return {value.name: self.blobs[value.name].data for value in executable.program.inputs}

    def _note_overwritten(self, executable: Executable) -> None:
        """Remember what comes in and is about to be overwritten by a layer that works in place."""
        blobs = executable.program.blobs
        for value in executable.program.inputs:
            if blobs.get(value.name, value) is not value:
                self._overwritten[value.name] = self.blobs[value.name].data.copy()

    def _load_batches(self, part: Range) -> None:
        """The next batch of each data layer, into its tops."""
        for layer in self._layers(part):
            if layer.name in self.engine.feeds:
                batch = self.engine.feeds[layer.name].next()
            elif isinstance(layer, MemoryData):
                batch = dict(zip(layer.tops, self._next_from_memory(layer), strict=True))
            else:
                continue
            still = layer.constants() if isinstance(layer, DummyData) else {}
            for top, array in batch.items():
                if top not in still:
                    self.blobs[top].data[...] = array.reshape(self.blobs[top].shape)

    def _next_from_memory(self, layer: MemoryData) -> tuple[Array, Array]:
        if self.memory is None:
            raise StateError(f"layer {layer.name!r} (MemoryData): there are no data yet; call net.set_input_arrays.")
        data, labels, at = self.memory
        size = self.blobs[layer.tops[0]].shape[0]
        self.memory = data, labels, (at + size) % len(data)
        return data[at : at + size], labels[at : at + size]

    def _filter_counts(self, part: Range) -> dict[str, int]:
        """How many rows each Filter keeps. What that depends on is run first, and leaves nothing behind."""
        counts: dict[str, int] = {}
        layers = self.engine.layers
        for i in range(part.first, part.last + 1):
            if isinstance(layers[i], Filter):
                selector, maker = layers[i].bottoms[-1], self._maker(layers[i].bottoms[-1], i)
                while part.first <= maker and isinstance(layers[maker], Split):
                    selector = layers[maker].bottoms[0]
                    maker = self._maker(selector, maker)
                outside = maker < part.first or isinstance(layers[maker], SourceOfCaffe)
                values = (
                    self.blobs[selector].data if outside else self._trial(Range(part.first, maker), counts, selector)
                )
                counts[layers[i].name] = int(np.count_nonzero(values))
        return counts

    def _maker(self, blob: str, before: int) -> int:
        """The number of the last layer before one that makes a blob."""
        return max(i for i in range(before) if blob in self.engine.layers[i].tops)

    def _trial(self, part: Range, counts: Mapping[str, int], blob: str) -> Array:
        """What a blob will be after some layers."""
        executable = self.engine.executable(part, counts)
        self._set_scalars(executable)
        self._note_changes()
        self._run_without_effects(executable, self._feeds(executable), {})
        self._ran.pop(part, None)
        return executable.read(executable.program.blobs[blob])

    def _follow_values(self, executable: Executable) -> None:
        for name, value in executable.program.blobs.items():
            if value.producer is not None and name in self.blobs:
                cell, shown = self.blobs[name].values, self._shown.get(name)
                if shown is None:
                    cell.follow(_reader(executable, value), value.shape)
                else:  # the numbers tell the shape
                    cell.follow(_reader(executable, value, shown))
                    cell.settle()
                self.blobs[name].gradients.reshape(cell.shape)

    # -- backward

    def backward(self, part: Range) -> None:
        """Run layers backward."""
        self.settle()
        for step in reversed(self._steps(part, "backward")):
            self._call("before_backward", step.last)
            self._run_backward(step)
            self._call("after_backward", step.first)

    def _run_backward(self, part: Range) -> None:
        executable = self._ran.get(part)
        if executable is None:  # other layers than those that ran forward: run these again on the blobs as they are
            lead = self._lead(part)
            executable = self.engine.executable(part, self._filter_counts(Range(lead, part.last)), lead)
            self._set_scalars(executable)
            self._seed(executable)
            self._note_changes()
            feeds = self._feeds(executable)
            for name, value in executable.program.blobs.items():
                if name in feeds and value.producer is not None and name in self._overwritten:
                    feeds[name] = self._overwritten[name]
            self._run_without_effects(executable, feeds, self._states)
        else:
            self._seed(executable)
            self._note_changes()
        executable.run(Section.BACKWARD)
        self._follow_gradients(executable)
        gradients = executable.program.gradients
        for parameter in self.engine.learnable():
            if parameter.key in gradients:
                self.parameter_blob(parameter).add_diff(executable.read(gradients[parameter.key]))

    def _lead(self, part: Range) -> int:
        """Where to begin to have what comes into a range as it was: it may have been overwritten in place."""
        layers, first = self.engine.layers, part.first
        while True:
            made: set[str] = set()
            lost: list[int] = []
            for layer in layers[first : part.last + 1]:
                lost += [
                    self._maker(bottom, first)
                    for bottom in set(layer.bottoms) - made
                    if any(bottom in later.tops for later in layers[first:])
                ]
                made.update(layer.tops)
            if not lost:
                return first
            first = min(lost)

    def _seed(self, executable: Executable) -> None:
        """Hand the gradients that come from above to the program."""
        states = {value.name for value in executable.program.stored}
        for name, value in executable.program.blobs.items():
            key = self.engine.seed_key(name, value.shape)
            if key in states:
                self.backend.store.write(key, self._padded(self.blobs[name].diff, value.shape))

    @staticmethod
    def _padded(array: Array, shape: Shape) -> Array:
        """A gradient at the size that was computed, where less is shown."""
        if array.shape == shape:
            return array
        return np.zeros(shape, array.dtype)

    def _recurrent_states(self, part: Range) -> dict[str, Array]:
        """The states that recurrent layers of a range begin with."""
        store = self.backend.store
        keys = [
            key
            for layer in self._layers(part)
            if isinstance(layer, Recurrent)
            for key in (f"{self.engine.prefix}{name}" for name in layer.state_names())
        ]
        return {key: store.read(key) for key in keys if key in store}

    def _run_without_effects(
        self, executable: Executable, feeds: Mapping[str, Array], states: Mapping[str, Array]
    ) -> None:
        """Run forward, from other states, and leave running statistics and states as they are."""
        self._read_pending()
        store = self.backend.store
        updated = {
            into.name
            for node in executable.program.section(Section.FORWARD)
            for _, into in node.updated()
        }  # fmt: skip
        before = {key: store.read(key) for key in updated}
        for key in updated:
            if key in states and states[key].shape == before[key].shape:
                store.write(key, states[key])
        try:
            executable.run(Section.FORWARD, feeds=feeds)
        finally:
            for key, values in before.items():
                store.write(key, values)

    def _read_pending(self) -> None:
        """Copy to blobs what still lies in the memory of programs: that is about to be overwritten or given back."""
        for blob in self.blobs.values():
            blob.values.settle()
            blob.gradients.settle()

    def _follow_gradients(self, executable: Executable) -> None:
        for name, value in executable.program.gradients.items():
            if name in self.blobs and value.shape == self.blobs[name].shape:
                self.blobs[name].gradients.follow(_reader(executable, value))

    # -- training, and new shapes

    def train(
        self,
        name: str,
        make: Callable[[Mapping[str, int]], Program],
        scalars: Mapping[str, float],
        *sections: Section,
    ) -> float:
        """Run a solver's program of the whole net on the next batch; gives the sum of the losses.

        Args:
            name: of the program.
            make: makes it, given how many rows each Filter keeps.
            scalars: what it reads.
            sections: what of it to run.
        """
        self.settle()
        now = self.engine.scalars(advance=True)
        self._load_batches(self.everything)
        counts = self._filter_counts(self.everything)
        executable = self.engine.compiled((name, tuple(sorted(counts.items()))), lambda: make(counts))
        executable.block.set({**now, **scalars})
        self._note_changes()
        executable.run(*sections, feeds=self._feeds(executable))
        self._ran.clear()
        self._follow_values(executable)
        self._follow_gradients(executable)
        self._hand_out(executable)
        return float(sum(float(executable.read(value)) for value in executable.program.losses.values()))

    def settle(self) -> None:
        """Have all blobs follow the new shapes that inputs were asked to have.

        Raises:
            ShapeError: a layer cannot follow; the shapes are as before then.
        """
        if not self._asked:
            return
        asked, self._asked = self._asked, {}
        try:
            self.engine.reshape({name: shape for name, shape in asked.items() if name in self.engine.held})
        finally:
            for name, spec in self.engine.specs.items():
                self.blobs[name].values.reshape(spec.shape)
                self.blobs[name].gradients.reshape(spec.shape)
        self._ran.clear()


def _owner(array: Array) -> object:
    """Who owns the memory: every view of it holds a reference to that."""
    return array if array.base is None else array.base


def _reader(executable: Executable, value: Value, shown: Callable[[Array], Array] | None = None) -> Callable[[], Array]:
    return lambda: executable.read(value) if shown is None else shown(executable.read(value))


def _difference(a: Array, b: Array) -> Callable[[], Array]:
    return lambda: a - b
