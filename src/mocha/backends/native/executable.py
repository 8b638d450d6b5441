"""A program compiled for the native library: memory, calls, and the steps that the reference does in between."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mocha.backends.aliases import find_aliases
from mocha.backends.base import Executable, sections_read
from mocha.backends.host import HostStore, aligned_zeros
from mocha.backends.lowering.calls import Call, is_channels_last
from mocha.backends.lowering.catalogue import lower_node
from mocha.backends.lowering.update import merge_updates
from mocha.backends.native.ways import Prepared, choose_way
from mocha.backends.reference import run_reference
from mocha.errors import MochaError, ShapeError, StateError
from mocha.graph import Kind, Node, Phase, Program, Section, Value
from mocha.ops import Array

if TYPE_CHECKING:
    from mocha.backends.native import NativeBackend

Place = tuple[int, int, int]
"""Address, number of the input or -1, offset in bytes."""

_DONE, _OUTSIDE, _FAILED = range(3)


class Step(NamedTuple):
    """What is done for a node, or for a part of it: a kernel, or the reference where that is None."""

    node: Node
    kernel: str | None


class NativeExecutable(Executable):
    """Runs a program in one call a section, without Python inside, as far as there are kernels for its ops.

    Attributes:
        steps: what is done, section by section; last, what prepares constants before the first run.
    """

    def __init__(self, program: Program, backend: NativeBackend) -> None:
        super().__init__(program)
        self._backend = backend
        self._store: HostStore = backend.store
        self._arena = aligned_zeros((program.memory.arena_bytes,), np.dtype(np.uint8))
        self._input_number = {value: i for i, value in enumerate(program.inputs)}
        self._fed: dict[Value, Array] = {}
        self._aliases = find_aliases(program)
        self._stored = {v: self._store.arrays[v.name] for v in program.stored}
        self._done: set[Section] = set()
        self._before = {section: sections_read(program, section) for section in Section}
        self.steps: list[Step] = []
        self._ranges: dict[Section, tuple[int, int]] = {}
        self._executor = backend.library.Executor(backend.instruction_set)
        # In testing, parameters are constant between trainings: what is derived from them alone is computed once.
        self._preparing: list[tuple[Call, Place, Node]] = []
        self._prepared: list[Array] = []
        self._seen_version = -1
        for section in Section:
            begin = len(self._executor)
            self._add_section(program.section(section))
            self._ranges[section] = begin, len(self._executor)
        begin = len(self._executor)
        for call, packed, node in self._preparing:
            self._executor.add(
                call.kernel, _element_bytes(call), list(call.ints), [], [self._place(v) for v in call.inputs], [packed]
            )
            self.steps.append(Step(node, call.kernel))
        self._preparation = begin, len(self._executor)

    # -- compiling

    def _add_section(self, nodes: list[Node]) -> None:
        pending: list[tuple[Call, Node]] = []
        for node in nodes:
            calls = self._lower(node)
            if calls is None:
                self._add_calls(pending)
                pending = []
                self._executor.add_outside()
                self.steps.append(Step(node, None))
            else:
                pending += [(call, node) for call in calls]
        self._add_calls(pending)

    def _lower(self, node: Node) -> list[Call] | None:
        """The calls of a node; None if the reference must do it. Other backends have kernels that the library lacks."""
        calls = lower_node(node, self.program.layouts)
        if calls is None or not all(self._backend.has_kernel(call.kernel, _element_bytes(call)) for call in calls):
            return None
        return calls

    def _add_calls(self, pending: list[tuple[Call, Node]]) -> None:
        owner = {id(call): node for call, node in pending}
        last = pending[-1][1] if pending else None
        for call in merge_updates([call for call, _ in pending]):
            node = owner.get(id(call), last)
            assert node is not None
            call, prepared = choose_way(call)
            places = [[self._place(v) for v in values] for values in (call.inputs, call.outputs)]
            if prepared is not None and self.program.phase is Phase.TEST and self._is_parameter(call.inputs[1]):
                places[0] += [places[0][1]]
                places[0][1] = self._pack_once(call, prepared, node)
                call = dataclasses.replace(call, kernel=prepared.kernel, ints=prepared.ints)
            if not self._executor.add(call.kernel, _element_bytes(call), list(call.ints), list(call.reals), *places):
                raise MochaError(f"layer {node.layer!r}: the native library has no kernel {call.kernel!r}.")
            self.steps.append(Step(node, call.kernel))

    def _is_parameter(self, value: Value) -> bool:
        """Whether a value is a parameter, or one under another shape."""
        return self._aliases.get(value, value).kind is Kind.PARAMETER

    def _pack_once(self, call: Call, prepared: Prepared, node: Node) -> Place:
        """Memory for the packed weights of a call, filled before the first run and after each training."""
        packing = Call(prepared.packing, call.inputs[1:2], (), prepared.ints)
        library, name = self._backend.library, self._backend.instruction_set
        size = library.scratch_bytes(name, packing.kernel, _element_bytes(packing), list(packing.ints), 1)
        memory = aligned_zeros((size,), np.dtype(np.uint8))
        self._prepared.append(memory)
        place = _address(memory), -1, 0
        self._preparing.append((packing, place, node))
        return place

    def _place(self, value: Value) -> Place:
        value = self._aliases.get(value, value)
        if value.kind is Kind.INPUT:
            return 0, self._input_number[value], 0
        if value.kind is Kind.SCALAR:
            return _address(self.block.values) + 8 * self.program.scalars.index(value.name), -1, 0
        if value.kind in (Kind.PARAMETER, Kind.STATE):
            return _address(self._stored[value]), -1, 0
        return _address(self._arena) + self.program.memory.offsets[value], -1, 0

    # -- running

    def run(self, *sections: Section, feeds: Mapping[str, Array] | None = None) -> None:
        """Run the sections; inputs are bound when FORWARD starts."""
        for section in self._started(sections, feeds):
            self._run_range(*self._ranges[section])

    def _started(self, sections: Sequence[Section], feeds: Mapping[str, Array] | None) -> Iterator[Section]:
        """Each section when it may run; it counts as done when the next one is asked for."""
        self._backend.check_process()
        fed = self.checked_feeds(feeds) if Section.FORWARD in sections else {}
        self._follow_store()
        for section in sections:
            if section is Section.FORWARD:
                self._fed = fed
                self._executor.bind([_address(fed[value]) for value in self.program.inputs])
            elif not self._before[section] <= self._done:
                raise StateError(f"program {self.program.name!r}: run the forward section first.")
            yield section
            self._done.add(section)
            if section is Section.UPDATE:
                self._store.version += 1

    def _run_range(self, begin: int, end: int) -> None:
        threads = self._backend.threads
        while True:
            kind, step, message = self._executor.run(begin, end, threads)
            if kind == _DONE:
                return
            node = self.steps[step].node
            # a node without a kernel runs through the reference; so does one whose data were refused, to say why
            self._interpret(node)
            if kind == _FAILED:
                raise MochaError(f"layer {node.layer!r}: {message}.")
            begin = step + 1

    def _interpret(self, node: Node) -> None:
        """Run one node by the op's reference code."""
        with np.errstate(all="ignore"):
            outputs = run_reference(node, [self._view(value) for value in node.inputs])
        for value, array in zip(node.outputs, outputs, strict=True):
            self._view(value)[...] = array

    def _follow_store(self) -> None:
        """Parameters and states may have been allocated anew since the last run, or changed: follow, prepare."""
        if self._seen_version == self._store.version:
            return
        for value, array in self._stored.items():
            now = self._store.arrays[value.name]
            if now is not array:
                self._executor.move(_address(array), _address(now))
                self._stored[value] = now
        self._run_range(*self._preparation)
        self._seen_version = self._store.version

    def interpreted(self) -> list[Node]:
        """The nodes for which there is no kernel."""
        return [step.node for step in self.steps if step.kernel is None]

    # -- values by name

    def _view(self, value: Value) -> Array:
        """The array of a value in the executable's memory, under its logical shape."""
        target = self._aliases.get(value, value)
        if target.kind is Kind.INPUT:
            flat = self._fed[target].reshape(-1)
        elif target.kind is Kind.SCALAR:
            flat = self.block.values[self.program.scalars.index(target.name) :][:1]
        elif target.kind in (Kind.PARAMETER, Kind.STATE):
            flat = self._store.arrays[target.name].reshape(-1)
        else:
            start = self.program.memory.offsets[target]
            flat = self._arena[start : start + value.spec.nbytes].view(value.dtype)
        if is_channels_last(value, self.program.layouts):
            n, c, h, w = value.shape
            return flat.reshape(n, h, w, c).transpose(0, 3, 1, 2)
        return flat.reshape(value.shape)

    def _checked_view(self, value: Value) -> Array:
        missing = value.kind is Kind.INPUT and value not in self._fed
        if missing or (value.producer is not None and value.producer.section not in self._done):
            raise StateError(
                f"program {self.program.name!r}: {value.name!r} has not been computed yet; run the forward section "
                "first."
            )
        return self._view(value)

    def read(self, value: Value) -> Array:
        """A copy, row-major."""
        return np.array(self._checked_view(value), order="C")

    def write(self, value: Value, array: Array) -> None:
        """Overwrite, shape and type as they are."""
        if np.shape(array) != value.shape:
            raise ShapeError(f"{value.name!r}: received shape {np.shape(array)}; expected {value.shape}.")
        if value.kind in (Kind.PARAMETER, Kind.STATE):
            self._store.write(value.name, array)
        else:
            self._checked_view(value)[...] = array

    def profile(self, *sections: Section, feeds: Mapping[str, Array] | None = None) -> list[tuple[Node, float]]:
        """Run the sections step by step; the updates that one call does stand under the last of their nodes."""
        times: list[tuple[Node, float]] = []
        for section in self._started(sections, feeds):
            begin, end = self._ranges[section]
            while begin < end:
                (kind, step, message), seconds = self._executor.run_timed(begin, end, self._backend.threads)
                times += [(self.steps[begin + i].node, second) for i, second in enumerate(seconds)]
                if kind == _DONE:
                    break
                start = time.perf_counter()
                self._interpret(self.steps[step].node)
                times.append((self.steps[step].node, time.perf_counter() - start))
                if kind == _FAILED:
                    raise MochaError(f"layer {self.steps[step].node.layer!r}: {message}.")
                begin = step + 1
        return times


def _address(array: Array) -> int:
    """Where an array lies; several times faster than `array.ctypes.data`."""
    return int(array.__array_interface__["data"][0])


def _element_bytes(call: Call) -> int:
    """The size of the elements that the call computes with: those of its first floating-point array, if it has one."""
    arrays = [v for v in (*call.inputs, *call.outputs) if v.kind is not Kind.SCALAR]
    chosen = next((v for v in arrays if v.dtype.kind == "f"), arrays[0] if arrays else None)
    return chosen.dtype.itemsize if chosen else 4
