"""Memory: when each value lives, and where it could lie so that dead ones make room for new ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from mocha.graph.graph import Kind, Node, Value
from mocha.graph.passes.storage import Stored

ALIGNMENT = 64
"""Offsets in the arena are multiples of this many bytes: a cache line, and the widest vector."""


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """Where the computed values of a program live.

    Attributes:
        offsets: computed value -> byte offset in the arena. A view, or an output written over its input, has the
            offset of that input. Values that live in the store, or are views of such, have none.
        arena_bytes: size of the arena.
        separate_bytes: what the same values would take with memory of their own each.
        dying: for each node, the values that nobody reads after it.
    """

    offsets: Mapping[Value, int]
    arena_bytes: int
    separate_bytes: int
    dying: Sequence[tuple[Value, ...]]


@dataclasses.dataclass
class _Block:
    """Memory of one or more values, from the birth of the first to the death of the last."""

    size: int
    birth: int
    death: int
    offset: int = -1


def plan_memory(
    nodes: Sequence[Node], kept: Collection[Value], narrow: Mapping[Value, Stored] | None = None
) -> MemoryPlan:
    """Lifetimes, sharing, and offsets.

    Args:
        nodes: in running order, all sections.
        kept: values that must still be there when the program has run: they never make room.
        narrow: values that lie in numbers of 16 bits.
    """
    halved = narrow or {}
    death = _deaths(nodes, kept)
    blocks: list[_Block] = []
    home: dict[Value, _Block | None] = {}  # None: not in the arena
    separate = 0
    for time, node in enumerate(nodes):
        stored = {out for out, _ in node.updated()}
        for index, out in enumerate(node.outputs):
            if out in stored:
                home[out] = None
                continue
            if node.op.is_view:
                block = home.get(node.inputs[0])
                home[out] = block
            else:
                size = _aligned(out.spec.size * 2 if out in halved else out.spec.nbytes)
                separate += size
                block = _taken_over(node, index, time, home)
                if block is None or block.size != size:
                    block = _Block(size, time, time)
                    blocks.append(block)
                home[out] = block
            if block is not None:
                block.death = max(block.death, death[out])
    _place(blocks)
    return MemoryPlan(
        {value: block.offset for value, block in home.items() if block is not None},
        max((b.offset + b.size for b in blocks), default=0),
        separate,
        _dying(nodes, death),
    )


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _deaths(nodes: Sequence[Node], kept: Collection[Value]) -> dict[Value, int]:
    """Computed value -> number of the last node that reads it; one past the last node for those kept."""
    death: dict[Value, int] = {}
    for time, node in enumerate(nodes):
        for value in (*node.inputs, *node.outputs):
            if value.kind is Kind.COMPUTED:
                death[value] = time
    death.update((value, len(nodes)) for value in kept if value in death)
    return death


def _taken_over(node: Node, index: int, time: int, home: Mapping[Value, _Block | None]) -> _Block | None:
    """The block of an input that dies here, if the op may write this output over it."""
    for out, into in node.op.overwrites:
        block = home.get(node.inputs[into])
        same = node.inputs[into].spec == node.outputs[index].spec
        if out == index and block is not None and block.death == time and same:
            return block
    return None


def _place(blocks: Sequence[_Block]) -> None:
    """Largest first, each at the lowest offset where it meets no block that lives at the same time."""
    placed: list[_Block] = []
    for block in sorted(blocks, key=lambda b: (-b.size, b.birth)):
        offset = 0
        for other in sorted(placed, key=lambda b: b.offset):
            apart = other.death < block.birth or block.death < other.birth
            if not apart and other.offset < offset + block.size and offset < other.offset + other.size:
                offset = other.offset + other.size
        block.offset = offset
        placed.append(block)


def _dying(nodes: Sequence[Node], death: Mapping[Value, int]) -> list[tuple[Value, ...]]:
    table: list[list[Value]] = [[] for _ in nodes]
    for value, time in death.items():
        if time < len(nodes):
            table[time].append(value)
    return [tuple(row) for row in table]
