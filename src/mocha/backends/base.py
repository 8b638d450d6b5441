"""The contract between a program and a machine.

A backend keeps parameters and states in a store, and compiles programs to executables. An executable runs sections of
its program, several by one call, reads a small block of scalars at each run, and gives and takes values by name.

What crosses the contract is row-major NumPy: N, C, H, W. How values lie in memory inside an executable is the
backend's own decision (channels last, packed, on a device), and so is how it does what the program's plans say
(`Program.memory`, chains). Whatever it does must agree with the ops' reference code.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from mocha.errors import ShapeError, StateError
from mocha.graph import Graph, Kind, Node, Program, Section, Value, fuse_units
from mocha.ops import Array
from mocha.parameters import Registry, Store


class ParameterBlock:
    """The scalars that a program reads: rates, iteration, seed, counter. One float64 slot each.

    A step never changes shape: only the numbers here change between runs, so it is compiled once.

    Args:
        names: the slots, in order.

    Attributes:
        names: the slots, in order.
        values: their numbers, float64, one array that lives as long as the block.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self.values = np.zeros(len(self.names), np.float64)

    def set(self, numbers: Mapping[str, float]) -> None:
        """Set slots; a name without a slot is something that this program does not depend on."""
        for slot, name in enumerate(self.names):
            if name in numbers:
                self.values[slot] = numbers[name]


class Executable(ABC):
    """A compiled program, with the memory that it runs in.

    Args:
        program: what to run.

    Attributes:
        program: what it runs.
        block: the scalars that it reads at each run.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.block = ParameterBlock(program.scalars)

    @abstractmethod
    def run(self, *sections: Section, feeds: Mapping[str, Array] | None = None) -> None:
        """Run sections in the order given.

        Args:
            sections: at least one.
            feeds: name of an input -> its array, row-major, of the input's exact shape and type. They take effect when
                FORWARD starts: a BACKWARD that is run before it in the same call still sees the inputs of the last
                FORWARD. All inputs are needed when FORWARD is among the sections. The arrays must not change until
                the next run.
        """

    @abstractmethod
    def profile(self, *sections: Section, feeds: Mapping[str, Array] | None = None) -> list[tuple[Node, float]]:
        """Run sections as `run` does, step by step, and time each step.

        Returns:
            pairs of a node and the seconds that a step took, in running order. A node may have several steps, and a
            backend may run several nodes of one section in one step, which stands for them under one of them.
        """

    def interpreted(self) -> list[Node]:
        """The nodes that run by their ops' reference code: all of them, unless the backend has something of its own."""
        return list(self.program.nodes)

    @abstractmethod
    def read(self, value: Value) -> Array:
        """A copy of a value that the program keeps, as it was left by the last run."""

    def read_later(self, value: Value) -> Callable[[], Array]:
        """What gives a value as it was left by the last run, also after later ones.

        A backend that works behind the caller's back need not wait here, but only when the value is asked for.
        """
        array = self.read(value)
        return lambda: array

    @abstractmethod
    def write(self, value: Value, array: Array) -> None:
        """Overwrite a value that the program keeps."""

    def blob(self, name: str) -> Array:
        """A copy of a blob."""
        return self.read(self.program.find(name))

    def gradient(self, name: str) -> Array:
        """A copy of the gradient of a blob or parameter."""
        return self.read(self.program.find(name, gradient=True))

    def checked_feeds(self, feeds: Mapping[str, Array] | None) -> dict[Value, Array]:
        """The arrays by input, row-major in memory.

        Raises:
            StateError: an input is missing.
            ShapeError: an array has another shape or type than its input.
        """
        checked = {}
        for value in self.program.inputs:
            if feeds is None or value.name not in feeds:
                raise StateError(f"program {self.program.name!r}: no array for the input {value.name!r}; hand one in.")
            array = np.ascontiguousarray(feeds[value.name]).reshape(np.shape(feeds[value.name]))
            if array.shape != value.shape or array.dtype != value.dtype:
                raise ShapeError(
                    f"input {value.name!r}: received {array.dtype} of shape {array.shape}; expected {value.dtype} of "
                    "shape "
                    f"{value.shape}."
                )
            checked[value] = array
        return checked

    def close(self) -> None:
        """Give back what it holds. It must not be used afterwards."""


class AbstractBackend(ABC):
    """A machine that programs run on. Several may be alive in one process, also of one kind.

    Attributes:
        store: the arrays that outlive a run.
        registry: the parameters among them.
    """

    name: ClassVar[str]
    """What `Backend(name)` and `MOCHA_BACKEND` call it."""
    channels_last: ClassVar[bool] = False
    """Whether it wants the blobs of convolutions and poolings channels last in memory (`Program.layouts`)."""
    fuses_units: ClassVar[bool] = False
    """Whether it has kernels for batch normalisation with what stands behind it (`BatchNormUnit`)."""

    def __init__(self) -> None:
        self.store = self.new_store()
        self.registry = Registry(self.store)
        self._closed = False

    @classmethod
    def is_likely(cls) -> bool:
        """Whether this machine looks as if it could run here: `DefaultBackend` does not even try one that is not."""
        return True

    @property
    def wishes(self) -> dict[str, Any]:
        """What it wants of its programs: arguments of `build_program`."""
        return {"channels_last": self.channels_last}

    def fuse(self, graph: Graph, keep: Iterable[str] | None) -> None:
        """Join what it has one kernel for, in a graph whose gradients are not derived yet.

        Args:
            graph: the forward section. It may be changed.
            keep: names of the blobs that stay readable; None for all.
        """
        if self.fuses_units:
            fuse_units(graph, keep)

    @classmethod
    @abstractmethod
    def describe(cls) -> str:
        """One line about the machine and the libraries in use.

        Raises:
            BackendUnavailable: it cannot run here; the message says why and what to do.
        """

    @abstractmethod
    def new_store(self) -> Store:
        """An empty store."""

    @abstractmethod
    def compile(self, program: Program) -> Executable:
        """Make a program ready to run."""

    def allocate_states(self, program: Program) -> None:
        """Make the states that a program keeps in the store and that are not there yet, 0 at first."""
        for value in program.stored:
            if value.kind is Kind.STATE and value.name not in self.store:
                self.store.allocate(value.name, np.zeros(value.shape, value.dtype))

    def init(self) -> None:
        """Get ready. Done when the backend was made; here for programs that say so, as Mocha's do."""
        if self._closed:
            raise StateError(f"backend {self.name!r} was shut down; make a new one.")

    def shutdown(self) -> None:
        """Forget all parameters and give back what the backend holds. Nets on it must not be used afterwards."""
        self.registry.reset()
        self._closed = True

    @property
    def closed(self) -> bool:
        """Whether it was shut down."""
        return self._closed

    def __enter__(self) -> Self:
        self.init()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        return f"<{self.name} backend>"


def sections_read(program: Program, section: Section) -> set[Section]:
    """The other sections whose values a section reads. Inputs come with the forward section."""
    read = {value for node in program.section(section) for value in node.inputs}
    made = {value.producer.section for value in read if value.producer is not None}
    if any(value.kind is Kind.INPUT for value in read):
        made.add(Section.FORWARD)
    return made - {section}
