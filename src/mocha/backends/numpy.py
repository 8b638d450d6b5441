"""The reference backend: it interprets the ops' own reference code, one op after the other, in plain NumPy.

It is clean, complete and as fast as NumPy's matrix products make it; it uses no arena, fuses nothing in memory and
runs on one thread but for those products. The other backends are measured against its answers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import numpy as np

from mocha.backends.base import AbstractBackend, Executable
from mocha.backends.host import HostStore
from mocha.backends.reference import run_reference
from mocha.errors import ShapeError, StateError
from mocha.graph import Kind, Node, Program, Section, Value
from mocha.ops import Array


class NumpyBackend(AbstractBackend):
    """The reference: needs nothing but NumPy."""

    name = "numpy"
    store: HostStore

    @classmethod
    def describe(cls) -> str:
        """NumPy's version and the number of processors."""
        return f"NumPy {np.__version__}, {os.cpu_count()} processors"

    def new_store(self) -> HostStore:
        """Host memory."""
        return HostStore()

    def compile(self, program: Program) -> Executable:
        """Nothing to translate."""
        return _Interpreter(program, self)


class _Interpreter(Executable):
    """Runs a program node by node."""

    def __init__(self, program: Program, backend: NumpyBackend) -> None:
        super().__init__(program)
        self._backend = backend
        self._values: dict[Value, Array] = {}
        self._slots = {name: slot for slot, name in enumerate(program.scalars)}
        self._steps: dict[Section, list[tuple[Node, tuple[Value, ...]]]] = {section: [] for section in Section}
        for node, dying in zip(program.nodes, program.memory.dying, strict=True):
            self._steps[node.section].append((node, dying))

    def run(self, *sections: Section, feeds: Mapping[str, Array] | None = None) -> None:
        """Interpret the sections; forget each value after its last use."""
        self.profile(*sections, feeds=feeds)

    def profile(self, *sections: Section, feeds: Mapping[str, Array] | None = None) -> list[tuple[Node, float]]:
        """The same, with the seconds that each node took."""
        fed = self.checked_feeds(feeds) if Section.FORWARD in sections else {}
        times = []
        with np.errstate(all="ignore"):
            for section in sections:
                if section is Section.FORWARD:
                    self._values.update(fed)
                for node, dying in self._steps[section]:
                    start = time.perf_counter()
                    self._apply(node)
                    times.append((node, time.perf_counter() - start))
                    for value in dying:
                        del self._values[value]
        return times

    def _apply(self, node: Node) -> None:
        outputs = run_reference(node, [self._get(value) for value in node.inputs])
        overwritten = dict(node.updated())
        for value, array in zip(node.outputs, outputs, strict=True):
            if value in overwritten:
                stored = self._backend.store.arrays[overwritten[value].name]
                stored[...] = array
                self._values[value] = stored
            else:
                self._values[value] = array

    def _get(self, value: Value) -> Array:
        if value.kind in (Kind.PARAMETER, Kind.STATE):
            return self._backend.store.arrays[value.name]
        if value.kind is Kind.SCALAR:
            return self.block.values[self._slots[value.name] : self._slots[value.name] + 1].reshape(())
        if value not in self._values:
            raise StateError(
                f"program {self.program.name!r}: {value.name!r} has not been computed yet; run the forward section "
                "first."
            )
        return self._values[value]

    def read(self, value: Value) -> Array:
        """A copy."""
        return np.array(self._get(value))

    def write(self, value: Value, array: Array) -> None:
        """Overwrite, shape and type as they are."""
        if np.shape(array) != value.shape:
            raise ShapeError(f"{value.name!r}: received shape {np.shape(array)}; expected {value.shape}.")
        if value.kind in (Kind.PARAMETER, Kind.STATE):
            self._backend.store.write(value.name, array)
        else:
            self._values[value] = np.array(array, value.dtype)

    def close(self) -> None:
        """Forget all values."""
        self._values.clear()
