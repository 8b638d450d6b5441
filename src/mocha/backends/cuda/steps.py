"""The steps of a compiled program: what is handed to the device for a node, or for a part of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mocha.backends.cuda.device import MOST_ARRAYS, MOST_INTS, MOST_REALS, Address, Arguments, Device, Product
from mocha.backends.cuda.launches.plan import Plan
from mocha.backends.cuda.memory import Memory
from mocha.graph import Node

Place = Callable[[int], Address]
"""Where an array lies, given the slot of the inputs."""

Lists = tuple[Sequence[int], Sequence[float], Sequence[Place], Sequence[Place]]
"""Of a kernel's call: whole-number attributes, other attributes, inputs, outputs."""


class InScratch:
    """The place of an array in the scratch memory.

    Args:
        offset: bytes from its beginning.
    """

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def __call__(self, slot: int) -> Address:
        """Counted from the beginning."""
        return self.offset


class Step(ABC):
    """One of them.

    Attributes:
        node: what it is done for.
        about: what it is called in profiles and errors.
        scratch: bytes of scratch memory that it needs while it runs.
        captured: whether it can be part of a graph of launches.
    """

    captured = True

    def __init__(self, node: Node, about: str, scratch: int = 0) -> None:
        self.node = node
        self.about = about
        self.scratch = scratch

    @abstractmethod
    def enqueue(self, slot: int, scratch: Address) -> None:
        """Hand it to the device, with the inputs of a slot."""

    def moved(self) -> None:
        """Arrays may lie elsewhere than before."""


class KernelStep(Step):
    """The launches of a call of an own kernel.

    Args:
        node: what it is done for.
        kernel: the name of the call.
        functions: the kernel of each launch.
        plan: the launches.
        lists: attributes and arrays of the call.
        device: who does it.
        trouble: where it says that its data are wrong.
        number: by which it says so.
        room: bytes of the scratch memory that some of its arrays take.
    """

    def __init__(
        self,
        node: Node,
        kernel: str,
        functions: Sequence[Any],
        plan: Plan,
        lists: Lists,
        device: Device,
        trouble: Address,
        number: int,
        room: int = 0,
    ) -> None:
        super().__init__(node, kernel, room + plan.scratch)
        self._room = room
        self.functions, self._launches = functions, plan.launches
        self._lists = lists
        self._device = device
        self._trouble, self.number = trouble, number
        self._arguments: dict[tuple[int, Address], tuple[Arguments, list[Memory]]] = {}

    def moved(self) -> None:
        """Take the addresses again."""
        self._arguments.clear()

    def enqueue(self, slot: int, scratch: Address) -> None:
        """One launch after the other."""
        key = slot, scratch
        if key not in self._arguments:
            self._arguments[key] = self._make(slot, scratch)
        arguments, _ = self._arguments[key]
        for function, launch in zip(self.functions, self._launches, strict=True):
            arguments.index = launch.index  # the device copies the arguments when it is handed them
            self._device.launch(function, launch, arguments, f"{self.about} of layer {self.node.layer!r}")

    def _make(self, slot: int, scratch: Address) -> tuple[Arguments, list[Memory]]:
        ints, reals, ins, outs = self._lists
        made = Arguments(scratch=scratch + self._room, trouble=self._trouble, number=self.number)
        kept: list[Memory] = []
        lists: tuple[tuple[str, Sequence[Any], int, type], ...] = (
            ("ints", ints, MOST_INTS, np.int64),
            ("reals", reals, MOST_REALS, np.float64),
            ("in", _addresses(ins, slot, scratch), MOST_ARRAYS, np.uint64),
            ("out", _addresses(outs, slot, scratch), MOST_ARRAYS, np.uint64),
        )
        for name, values, most, kind in lists:
            if len(values) <= most:
                short = getattr(made, f"short_{name}")
                for i, value in enumerate(values):
                    short[i] = value
            else:
                memory = Memory(self._device, 8 * len(values))
                self._device.upload(memory.address, np.array(values, kind).view(np.uint8))
                setattr(made, f"long_{name}", memory.address)
                kept.append(memory)
        return made, kept


class ProductStep(Step):
    """A product by somebody's library.

    Args:
        node: what it is done for.
        kernel: the name of the call.
        product: ready to be done.
        inputs: where they lie.
        outputs: likewise.
        offset: how much of the scratch memory belongs to others.
    """

    def __init__(
        self,
        node: Node,
        kernel: str,
        product: Product,
        inputs: Sequence[Place],
        outputs: Sequence[Place],
        offset: int = 0,
    ) -> None:
        super().__init__(node, kernel, product.workspace + offset)
        self._product = product
        self._inputs, self._outputs, self._offset = inputs, outputs, offset

    def enqueue(self, slot: int, scratch: Address) -> None:
        """In one go."""
        ins, outs = (_addresses(places, slot, scratch) for places in (self._inputs, self._outputs))
        self._product.enqueue(ins, outs, scratch + self._offset)


def _addresses(places: Sequence[Place], slot: int, scratch: Address) -> list[Address]:
    return [place(slot) + (scratch if isinstance(place, InScratch) else 0) for place in places]


class ArrayStep(Step):
    """A node in array code, by the op's own reference code.

    Args:
        node: the node.
        run: does it, with the inputs of a slot.
        device: in whose order.
        waits: whether it is done on the host, for which all has to wait; else by arrays of the device.
    """

    captured = False

    def __init__(self, node: Node, run: Callable[[int], None], device: Device, *, waits: bool) -> None:
        super().__init__(node, "reference" if waits else "array code")
        self._run, self._device, self._waits = run, device, waits

    def enqueue(self, slot: int, scratch: Address) -> None:
        """Now, or in order."""
        if self._waits:
            self._run(slot)
        else:
            self._device.call(lambda: self._run(slot))
