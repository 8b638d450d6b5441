"""Runs a net's layers on blobs that users see and change: the state behind `mocha.caffe.Net`."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping

import numpy as np

from mocha.backends import Executable
from mocha.caffe.blob import NetBlob, ParameterBlob
from mocha.caffe.engine import Engine, Range
from mocha.caffe.layer_types import CaffeLayer
from mocha.caffe.layer_types.arrange import Filter
from mocha.caffe.layer_types.sources import Input, MemoryData, SourceOfCaffe
from mocha.errors import StateError
from mocha.graph import Phase, Section, Value
from mocha.ops import Array, Shape
from mocha.parameters import Parameter

Hook = Callable[[int], object]


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
        self._last: tuple[Executable, Range] | None = None
        self._exposed: dict[str, int] = {}
        self._parameter_blobs: dict[Parameter, ParameterBlob] = {}
        self._shown = {
            top: layer.shown
            for layer in engine.layers
            if type(layer).shown is not CaffeLayer.shown
            for top in layer.tops
        }

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
            if sys.getrefcount(_owner(self.backend.store.view(key))) <= references:  # nobody holds it any more
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
        made = {top for layer in self.engine.layers[part.first : part.last + 1] for top in layer.tops}
        return float(sum(weights[name] * self.blobs[name].data.sum() for name in made if weights[name]))

    def _steps(self, part: Range, way: str) -> list[Range]:
        if not self.hooks.get(f"before_{way}") and not self.hooks.get(f"after_{way}"):
            return [part]
        return [Range(i, i) for i in range(part.first, part.last + 1)]

    def _call(self, hook: str, layer: int) -> None:
        for function in self.hooks.get(hook, ()):
            function(layer)

    def _run_forward(self, part: Range) -> None:
        executable = self.engine.executable(part, self._filter_counts(part), gradients_of_inputs=part.first > 0)
        self._note_changes()
        self._set_scalars(executable)
        for layer in self.engine.layers[part.first : part.last + 1]:
            if isinstance(layer, SourceOfCaffe):
                self._load(layer)
        executable.run(Section.FORWARD, feeds=self._feeds(executable))
        self._last = executable, part
        self._follow_values(executable)
        for name, values in executable.program.outputs.items():
            self.engine.sinks[name].write([executable.read(value) for value in values])

    def _set_scalars(self, executable: Executable) -> None:
        executable.block.set({"seed": self.engine.seed, "counter": max(self.engine.counter - 1, 0)})

    def _feeds(self, executable: Executable) -> dict[str, Array]:
        """Blobs as they are, for what comes from outside."""
        return {value.name: self.blobs[value.name].data for value in executable.program.inputs}

    def _load(self, layer: SourceOfCaffe) -> None:
        """The next batch of a data layer, into its tops."""
        if layer.name in self.engine.feeds:
            batch = self.engine.feeds[layer.name].next()
        elif isinstance(layer, MemoryData):
            batch = dict(zip(layer.tops, self._next_from_memory(layer), strict=True))
        else:
            return
        for top, array in batch.items():
            self.blobs[top].data[...] = array.reshape(self.blobs[top].shape)

    def _next_from_memory(self, layer: MemoryData) -> tuple[Array, Array]:
        if self.memory is None:
            raise StateError(f"layer {layer.name!r} (MemoryData): there are no data yet; call net.set_input_arrays.")
        data, labels, at = self.memory
        size = self.blobs[layer.tops[0]].shape[0]
        self.memory = data, labels, (at + size) % len(data)
        return data[at : at + size], labels[at : at + size]

    def _filter_counts(self, part: Range) -> dict[str, int]:
        """How many rows each Filter in the range keeps. What it depends on is run first."""
        counts: dict[str, int] = {}
        for i in range(part.first, part.last + 1):
            layer = self.engine.layers[i]
            if isinstance(layer, Filter):
                selector = layer.bottoms[-1]
                makers = [j for j in range(part.first, i) if selector in self.engine.layers[j].tops]
                if makers and not isinstance(self.engine.layers[makers[-1]], Input):
                    self._run_forward(Range(part.first, makers[-1]))
                counts[layer.name] = int(np.count_nonzero(self.blobs[selector].data))
        return counts

    def _follow_values(self, executable: Executable) -> None:
        for name, value in executable.program.blobs.items():
            if value.producer is not None and name in self.blobs:
                self.blobs[name].values.follow(_reader(executable, value, self._shown.get(name)))
                self.blobs[name].gradients.reshape(value.shape)

    # -- backward

    def backward(self, part: Range) -> None:
        """Run layers backward."""
        for step in reversed(self._steps(part, "backward")):
            self._call("before_backward", step.last)
            self._run_backward(step)
            self._call("after_backward", step.first)

    def _run_backward(self, part: Range) -> None:
        if self._last is not None and self._last[1] == part:
            executable = self._last[0]
            self._seed(executable)
        else:
            # other layers than those that ran forward last: run these again on the blobs as they are
            executable = self.engine.executable(part, self._filter_counts(part), gradients_of_inputs=part.first > 0)
            self._set_scalars(executable)
            self._seed(executable)
            self._rerun(executable)
        executable.run(Section.BACKWARD)
        self._follow_gradients(executable)
        gradients = executable.program.gradients
        for parameter in self.engine.learnable():
            if parameter.key in gradients:
                self.parameter_blob(parameter).add_diff(executable.read(gradients[parameter.key]))

    def _seed(self, executable: Executable) -> None:
        """Hand the gradients that come from above to the program."""
        prefix = f"{self.engine.prefix}seed/"
        for value in executable.program.stored:
            if value.name.startswith(prefix):
                self.backend.store.write(value.name, self.blobs[value.name.removeprefix(prefix)].diff)

    def _rerun(self, executable: Executable) -> None:
        """The forward pass once more, without its lasting effects: running statistics, states of recurrent layers."""
        store = self.backend.store
        changed = {
            into.name: store.read(into.name)
            for node in executable.program.section(Section.FORWARD)
            for _, into in node.updated()
        }
        executable.run(Section.FORWARD, feeds=self._feeds(executable))
        for key, values in changed.items():
            store.write(key, values)

    def _follow_gradients(self, executable: Executable) -> None:
        for name, value in executable.program.gradients.items():
            if name in self.blobs:
                self.blobs[name].gradients.follow(_reader(executable, value))

    # -- training, and new shapes

    def train(self, executable: Executable, *sections: Section) -> float:
        """Run a solver's program of the whole net on the next batch; gives the sum of the losses."""
        self.settle()
        self._note_changes()
        executable.block.set(self.engine.scalars(advance=True))
        for layer in self.engine.layers:
            if isinstance(layer, SourceOfCaffe):
                self._load(layer)
        executable.run(*sections, feeds=self._feeds(executable))
        self._last = None
        self._follow_values(executable)
        self._follow_gradients(executable)
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
        self._last = None


def _owner(array: Array) -> object:
    """Who owns the memory: every view of it holds a reference to that."""
    return array if array.base is None else array.base


def _reader(executable: Executable, value: Value, shown: Callable[[Array], Array] | None = None) -> Callable[[], Array]:
    return lambda: executable.read(value) if shown is None else shown(executable.read(value))


def _difference(a: Array, b: Array) -> Callable[[], Array]:
    return lambda: a - b
