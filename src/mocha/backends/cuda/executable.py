"""A program compiled for a device: memory, steps, and graphs of them that are launched at one go."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mocha.backends.aliases import find_aliases
from mocha.backends.base import Executable, sections_read
from mocha.backends.cuda.compiling import Compiler, check_sizes
from mocha.backends.cuda.device import Bytes, Event, Graph
from mocha.backends.cuda.memory import Memory, as_bytes
from mocha.backends.cuda.numbers import broadened, narrowed
from mocha.backends.cuda.steps import KernelStep, Place, Step
from mocha.backends.lowering.calls import is_channels_last
from mocha.backends.reference import check_promise, run_reference
from mocha.errors import MochaError, ShapeError, StateError
from mocha.graph import Kind, Node, Program, Section, Value
from mocha.ops import Array

if TYPE_CHECKING:
    from mocha.backends.cuda import CudaBackend

_SLOTS = 3
"""Sets of inputs: a step reads the last one (backward) and the next one (forward) while a third is being filled."""
_ALIGNMENT = 256


class _Slot:
    """One set of inputs, and of the scalars.

    Attributes:
        event: when the last run that read it was over; None before the first.
        trouble: what that run's kernels said of their data, once it is over.
    """

    def __init__(self, executable: CudaExecutable) -> None:
        device = executable.device
        sizes = [value.spec.nbytes for value in executable.program.inputs]
        starts = np.cumsum([0, *(-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes)])
        self.memory = Memory(device, int(starts[-1]))
        self.pinned = device.pinned(max(int(starts[-1]), 1))
        self.scalars = device.pinned(max(executable.block.values.nbytes, 8))
        self.trouble = device.pinned(8)
        self.starts = dict(zip(executable.program.inputs, map(int, starts), strict=False))
        self.event: Event | None = None

    def fill(self, feeds: Mapping[Value, Array]) -> None:
        """Copy arrays to the pinned memory."""
        for value, array in feeds.items():
            start = self.starts[value]
            self.pinned[start : start + value.spec.nbytes] = as_bytes(array)


class CudaExecutable(Executable):
    """Runs a program as one launch of a graph, as far as there are kernels and products for its ops.

    Attributes:
        device: where.
        steps: section -> what is done.
    """

    def __init__(self, program: Program, backend: CudaBackend) -> None:
        super().__init__(program)
        check_sizes(program)
        self.device = backend.device
        self._backend, self._store = backend, backend.store
        self._aliases = find_aliases(program)
        self._stored = {v: self._store.memory(v.name) for v in program.stored}
        self._written = {
            section: [stored.name for node in program.section(section) for _, stored in node.updated()]
            for section in Section
        }
        self._before = {section: sections_read(program, section) for section in Section}
        self._done: set[Section] = set()
        self._arena = Memory(self.device, program.memory.arena_bytes)
        self._scalars = Memory(self.device, max(self.block.values.nbytes, 8))
        self._trouble = Memory(self.device, 8)
        self.device.upload(self._trouble.address, np.zeros(8, np.uint8))
        self._slots = [_Slot(self) for _ in range(_SLOTS)]
        self._now = 0  # the slot of the last FORWARD
        self._fed = False
        self.steps = Compiler(program, backend, self._aliases, self._place, self._array_code, self._trouble).steps
        self._scratch = Memory(self.device, max((s.scratch for steps in self.steps.values() for s in steps), default=0))
        self._numbered = [s for steps in self.steps.values() for s in steps if isinstance(s, KernelStep)]
        self._moved = self._store.moved
        self._graphs: dict[tuple[tuple[Section, int], ...], list[tuple[Step, int] | Graph]] = {}
        self._seen: set[tuple[tuple[Section, int], ...]] = set()

    # -- where values lie

    def _place(self, value: Value) -> Place:
        value = self._aliases.get(value, value)
        if value.kind is Kind.INPUT:
            slots = self._slots
            return lambda slot: slots[slot].memory.address + slots[slot].starts[value]
        if value.kind is Kind.SCALAR:
            offset = 8 * self.program.scalars.index(value.name)
            return lambda _: self._scalars.address + offset
        if value.kind in (Kind.PARAMETER, Kind.STATE):
            return lambda _: self._stored[value].address
        address = self._arena.address + self.program.memory.offsets[value]
        return lambda _: address

    # -- running

    def run(self, *sections: Section, feeds: Mapping[str, Array] | None = None) -> None:
        """Hand the sections to the device; nothing waits for it."""
        plan = self._started(sections, feeds)
        try:
            for piece in self._prepared(plan):
                if isinstance(piece, tuple):
                    self._enqueue(piece)
                else:
                    piece.launch()
        except BaseException:
            self.device.synchronize()  # what was handed over still reads this slot
            raise
        self._ended(plan)

    def profile(self, *sections: Section, feeds: Mapping[str, Array] | None = None) -> list[tuple[Node, float]]:
        """Run the sections step by step, and wait for each; what one call does for many nodes stands under the last."""
        plan = self._started(sections, feeds)
        self.device.synchronize()
        times = []
        for section, slot in plan:
            for step in self.steps[section]:
                start = time.perf_counter()
                step.enqueue(slot, self._scratch.address)
                self.device.synchronize()
                times.append((step.node, time.perf_counter() - start))
        self._ended(plan)
        return times

    def _started(
        self, sections: Sequence[Section], feeds: Mapping[str, Array] | None
    ) -> tuple[tuple[Section, int], ...]:
        """Bring inputs and scalars on their way; each section with the slot of the inputs that it reads."""
        fed = self.checked_feeds(feeds) if Section.FORWARD in sections else {}
        done = set(self._done)
        for section in sections:
            if section is not Section.FORWARD and not self._before[section] <= done:
                raise StateError(f"program {self.program.name!r}: run the forward section first.")
            done.add(section)
        self._follow_store()
        plan, now, following = [], self._now, (self._now + 1) % _SLOTS
        for section in sections:
            now = following if section is Section.FORWARD else now
            plan.append((section, now))
        slot = self._slots[now]
        if slot.event is not None:
            slot.event.synchronize()
            self._check_trouble(slot.trouble)
        if fed:
            slot.fill(fed)
            self.device.wait(self.device.copy_in(slot.memory.address, slot.pinned))
        self._send_scalars(slot)
        self._now = now
        self._fed = self._fed or Section.FORWARD in sections
        return tuple(plan)

    def _send_scalars(self, slot: _Slot) -> None:
        values = self.block.values
        if values.nbytes:
            slot.scalars[:] = values.view(np.uint8)
            self.device.upload_pinned(self._scalars.address, slot.scalars)

    def _prepared(self, plan: tuple[tuple[Section, int], ...]) -> Sequence[tuple[Step, int] | Graph]:
        """The steps of a run, each with its slot; once such a run has gone well, graphs as far as that is possible."""
        if plan in self._graphs:
            return self._graphs[plan]
        steps = [(step, slot) for section, slot in plan for step in self.steps[section]]
        if not self._backend.captures or plan not in self._seen:
            return steps
        pieces: list[tuple[Step, int] | Graph] = []
        run: list[tuple[Step, int]] = []
        for pair in [*steps, None]:
            if pair is not None and pair[0].captured:
                run.append(pair)
                continue
            if run:
                pieces.append(self.device.capture(functools.partial(self._enqueue_all, run)))
                run = []
            if pair is not None:
                pieces.append(pair)
        self._graphs[plan] = pieces
        return pieces

    def _enqueue_all(self, pairs: Sequence[tuple[Step, int]]) -> None:
        for pair in pairs:
            self._enqueue(pair)

    def _enqueue(self, pair: tuple[Step, int]) -> None:
        step, slot = pair
        step.enqueue(slot, self._scratch.address)

    def _ended(self, plan: tuple[tuple[Section, int], ...]) -> None:
        self._seen.add(plan)  # libraries have loaded what they need, and addresses are on the device
        self.device.copy_out(self._trouble.address, self._slots[self._now].trouble)
        event = self.device.record()
        for section, slot in plan:
            self._slots[slot].event = event
            self._done.add(section)
            self._store.wrote(self._written[section])

    def _follow_store(self) -> None:
        """Parameters and states may have been allocated anew since the last run."""
        if self._moved == self._store.moved:
            return
        self._moved = self._store.moved
        found = {v: self._store.memory(v.name) for v in self.program.stored}
        if any(found[v] is not memory for v, memory in self._stored.items()):
            self.device.synchronize()
            self._stored.update(found)
            self._graphs.clear()
            self._seen.clear()
            for steps in self.steps.values():
                for step in steps:
                    step.moved()

    def _check_trouble(self, told: Bytes) -> None:
        """Say what a kernel found wrong with its data, some time ago.

        Raises:
            MochaError: the layer is named.
        """
        found = int(told.view(np.int64)[0])
        if found:
            self.device.synchronize()  # runs under way tell it once more
            self.device.upload(self._trouble.address, np.zeros(8, np.uint8))
            for slot in self._slots:
                slot.trouble[...] = 0
            who = next(
                (f"layer {s.node.layer!r}: {s.about}" for s in self._numbered if s.number == found - 1), "a kernel"
            )
            raise MochaError(
                f"{who} refused its data in this run or in one before: a label is "
                "not the number of a class, or an index is out of its range. Check the labels; the numpy backend says "
                "which it is."
            )

    # -- array code

    def _array_code(self, node: Node, on_device: bool) -> Callable[[int], None]:
        """Runs a node by its op's own code: on arrays of the device, or of the host."""

        def by_device(slot: int) -> None:
            outputs = self._backend.run_array_code(node, [self._device_view(v, slot) for v in node.inputs])
            check_promise(node, outputs)
            for value, array in zip(node.outputs, outputs, strict=True):
                self._device_view(value, slot)[...] = array

        def by_host(slot: int) -> None:
            with np.errstate(all="ignore"):
                outputs = run_reference(node, [self._copy(v, slot) for v in node.inputs])
            for value, array in zip(node.outputs, outputs, strict=True):
                self._overwrite(value, array, slot)

        return by_device if on_device else by_host

    def _device_view(self, value: Value, slot: int) -> Any:
        n_channels_last = is_channels_last(value, self.program.layouts)
        shape = value.shape
        if n_channels_last:
            n, c, h, w = shape
            view = self.device.view(self._place(value)(slot), (n, h, w, c), value.dtype)
            return view.transpose(0, 3, 1, 2)
        return self.device.view(self._place(value)(slot), shape, value.dtype)

    # -- values by name

    def _copy(self, value: Value, slot: int) -> Array:
        """The values, in their logical shape and type."""
        stored = self.program.narrow.get(value)
        nbytes = value.spec.size * 2 if stored else value.spec.nbytes
        found = self.device.download(self._place(value)(slot), nbytes)
        flat = broadened(found, stored) if stored else found.view(value.dtype)
        if is_channels_last(value, self.program.layouts):
            n, c, h, w = value.shape
            return np.ascontiguousarray(flat.reshape(n, h, w, c).transpose(0, 3, 1, 2))
        return flat.reshape(value.shape).copy()

    def _overwrite(self, value: Value, array: Array, slot: int) -> None:
        values = np.empty(value.shape, value.dtype)
        values[...] = array
        if is_channels_last(value, self.program.layouts):
            values = values.transpose(0, 2, 3, 1)
        stored = self.program.narrow.get(value)
        self.device.upload(self._place(value)(slot), as_bytes(narrowed(values, stored) if stored else values))

    def _check_computed(self, value: Value) -> None:
        missing = value.kind is Kind.INPUT and not self._fed
        if missing or (value.producer is not None and value.producer.section not in self._done):
            raise StateError(
                f"program {self.program.name!r}: {value.name!r} has not been computed yet; run the forward section "
                "first."
            )

    def read(self, value: Value) -> Array:
        """A copy, row-major; waits for the device."""
        self._check_computed(value)
        if value.kind is Kind.SCALAR:
            return np.array(self.block.values[self.program.scalars.index(value.name)])
        result = self._copy(value, self._now)
        self._check_trouble(self._slots[self._now].trouble)  # what the last run said came before
        return result

    def read_later(self, value: Value) -> Callable[[], Array]:
        """The same without waiting now: what it returns waits."""
        if value in self.program.narrow or is_channels_last(value, self.program.layouts) or value.kind is Kind.SCALAR:
            return super().read_later(value)
        self._check_computed(value)
        wait = self.device.fetch(self._place(value)(self._now), value.spec.nbytes)
        return lambda: wait().view(value.dtype).reshape(value.shape)

    def write(self, value: Value, array: Array) -> None:
        """Overwrite, shape and type as they are."""
        if np.shape(array) != value.shape:
            raise ShapeError(f"{value.name!r}: received shape {np.shape(array)}; expected {value.shape}.")
        if value.kind in (Kind.PARAMETER, Kind.STATE):
            self._store.write(value.name, array)
        else:
            self._check_computed(value)
            self._overwrite(value, np.asarray(array), self._now)

    def interpreted(self) -> list[Node]:
        """The nodes for which there is no kernel."""
        return [s.node for steps in self.steps.values() for s in steps if not s.captured]

    def close(self) -> None:
        """Give back all memory; with the backend, the device gave it back already."""
        if not self._backend.closed:
            self.device.synchronize()
        self._graphs.clear()
        self.steps = {section: [] for section in Section}
        self._numbered.clear()
        for memory in (self._arena, self._scalars, self._trouble, self._scratch):
            memory.free()
        for slot in self._slots:
            slot.memory.free()
        self._slots.clear()
