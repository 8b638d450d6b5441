"""Values, nodes, and the graph that layers write themselves into."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from mocha.errors import MochaError, TopologyError
from mocha.ops import Op, Spec
from mocha.ops.base import as_tuple


class Kind(enum.Enum):
    """Where a value comes from, and how long it lives."""

    INPUT = "input"
    """Handed in at each run: data, labels."""
    PARAMETER = "parameter"
    """Learned; kept in the backend's store."""
    STATE = "state"
    """Kept in the backend's store too, but not learned: a velocity, running statistics."""
    SCALAR = "scalar"
    """A float64 slot of the parameter block: learning rate, iteration, random counter."""
    COMPUTED = "computed"
    """The output of a node."""


class Phase(enum.Enum):
    """What a program is for. Dropout drops in TRAIN and is the identity in TEST."""

    TRAIN = "train"
    TEST = "test"


class Section(enum.Enum):
    """The parts of a program, in their order."""

    FORWARD = "forward"
    BACKWARD = "backward"
    UPDATE = "update"


class Layout(enum.Enum):
    """How a value of four axes lies in memory. To everybody outside a backend it is N, C, H, W."""

    ROW_MAJOR = "NCHW"
    CHANNELS_LAST = "NHWC"


@dataclasses.dataclass(eq=False)
class Value:
    """An array to be.

    Attributes:
        spec: shape and element type.
        kind: where it comes from.
        name: the blob's name, the store's key, the slot's name; for a computed value whatever helps to read a listing.
        producer: the node that computes it, if one does.
    """

    spec: Spec
    kind: Kind
    name: str
    producer: Node | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shorthand for the spec's shape."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Shorthand for the spec's element type."""
        return self.spec.dtype

    def __repr__(self) -> str:
        return f"<{self.kind.value} {self.name}: {self.spec}>"


@dataclasses.dataclass(eq=False)
class Node:
    """One application of an op.

    Attributes:
        op: what is computed.
        inputs: from what.
        outputs: to what.
        layer: the name of the layer (or parameter) that wrote it, for messages and listings.
        section: when it runs.
    """

    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    layer: str
    section: Section

    def updated(self) -> Iterator[tuple[Value, Value]]:
        """Pairs (output, stored value that it overwrites)."""
        for out, into in self.op.updates:
            yield self.outputs[out], self.inputs[into]

    @property
    def work(self) -> int:
        """Arithmetic operations of one run."""
        return self.op.work([v.spec for v in self.inputs], [v.spec for v in self.outputs])

    @property
    def traffic(self) -> int:
        """Bytes that one run reads and writes, each input and output once; 0 for a view."""
        return 0 if self.op.is_view else sum(v.spec.nbytes for v in (*self.inputs, *self.outputs))


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A number that a layer reports about each batch, averaged over the batches of an epoch.

    Attributes:
        layer: the layer's name.
        key: under which it is recorded: ``<layer>-<key>``.
        value: the scalar.
        count: how many things a batch averages over: examples, or labels.
        percent: shown as a percentage.
        complement: key under which 1 - the mean is recorded too, or "".
    """

    layer: str
    key: str
    value: Value
    count: int
    percent: bool = False
    complement: str = ""


class Graph:
    """Ops on values, in the order in which they were applied, which is an order that they can run in.

    A layer lowers itself by calling the graph like a function: ``y = g(ReLU(), x)``.

    Args:
        phase: whether the graph is for training or testing.

    Attributes:
        nodes: in running order.
        blobs: name of a blob -> its latest value.
        losses: name of a loss layer -> its scalar.
        loss_layers: names of the layers that these scalars come from.
        statistics: what layers report about each batch.
        outputs: name of an output layer -> the values that it hands out.
    """

    def __init__(self, phase: Phase = Phase.TRAIN) -> None:
        self.phase = phase
        self.nodes: list[Node] = []
        self.blobs: dict[str, Value] = {}
        self.losses: dict[str, Value] = {}
        self.loss_layers: set[str] = set()
        self.statistics: list[Statistic] = []
        self.outputs: dict[str, tuple[Value, ...]] = {}
        self._sources: dict[tuple[Kind, str], Value] = {}
        self._layer = ""
        self._section = Section.FORWARD

    def _source(self, kind: Kind, name: str, spec: Spec) -> Value:
        known = self._sources.setdefault((kind, name), Value(spec, kind, name))
        if known.spec != spec:
            raise TopologyError(
                f"{kind.value} {name!r} was {known.spec} before and is {spec} now; expected one and the same."
            )
        return known

    def input(self, name: str, spec: Spec) -> Value:
        """A value handed in at each run, and a blob of that name."""
        value = self._source(Kind.INPUT, name, spec)
        self.blobs[name] = value
        return value

    def parameter(self, key: str, spec: Spec) -> Value:
        """The parameter of that key in the backend's store. Asked for twice it is the same value: that is sharing."""
        return self._source(Kind.PARAMETER, key, spec)

    def state(self, key: str, spec: Spec) -> Value:
        """The state of that key in the backend's store."""
        return self._source(Kind.STATE, key, spec)

    def scalar(self, name: str) -> Value:
        """A float64 slot of the parameter block."""
        return self._source(Kind.SCALAR, name, Spec((), np.dtype(np.float64)))

    def sources(self, kind: Kind) -> list[Value]:
        """All values of a kind that no node computes, in the order in which they were first asked for."""
        return [value for (k, _), value in self._sources.items() if k is kind]

    @contextmanager
    def within(self, layer: str, section: Section = Section.FORWARD) -> Iterator[None]:
        """Nodes applied inside belong to that layer and section; errors raised inside name the layer."""
        before = self._layer, self._section
        self._layer, self._section = layer, section
        try:
            yield
        except MochaError as error:
            prefix = f"layer {layer!r}: "
            if layer and not str(error).startswith("layer "):
                raise type(error)(prefix + str(error)) from error
            raise
        finally:
            self._layer, self._section = before

    def apply(self, op: Op, *inputs: Value) -> tuple[Value, ...]:
        """Apply an op, give all its outputs."""
        specs = as_tuple(op.infer(*(value.spec for value in inputs)))
        base = self._layer or op.name
        outputs = tuple(Value(spec, Kind.COMPUTED, base if i == 0 else f"{base}.{i}") for i, spec in enumerate(specs))
        node = Node(op, inputs, outputs, self._layer, self._section)
        for value in outputs:
            value.producer = node
        self.nodes.append(node)
        return outputs

    def __call__(self, op: Op, *inputs: Value) -> Value:
        """Apply an op, give its first output."""
        return self.apply(op, *inputs)[0]

    def objective(self, layer: str, value: Value) -> None:
        """Make a scalar part of what training minimises: the objective is the sum of all these."""
        self.losses[layer] = value
        self.loss_layers.add(self._layer or layer)

    def output(self, layer: str, values: Sequence[Value]) -> None:
        """Have values handed out after each forward pass."""
        self.outputs[layer] = tuple(values)

    def report(self, key: str, value: Value, *, count: int, percent: bool = False, complement: str = "") -> None:
        """Report a scalar about each batch, averaged over an epoch as ``<layer>-<key>``."""
        self.statistics.append(Statistic(self._layer, key, value, count, percent, complement))


def users(nodes: Sequence[Node]) -> dict[Value, list[Node]]:
    """For each value, the nodes that take it as an input (a node that takes it twice stands twice)."""
    table: dict[Value, list[Node]] = {}
    for node in nodes:
        for value in node.inputs:
            table.setdefault(value, []).append(node)
    return table
