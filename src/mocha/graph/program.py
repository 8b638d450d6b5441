"""A program: a graph made ready to run. It is data: printed, counted and tested without running."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Mapping

from mocha.errors import StateError, did_you_mean
from mocha.graph.graph import Graph, Kind, Layout, Node, Phase, Section, Statistic, Value
from mocha.graph.listing import amount, memory, shape_text, table
from mocha.graph.passes import (
    MemoryPlan,
    Narrowing,
    Stored,
    fuse_chains,
    plan_layout,
    plan_memory,
    plan_storage,
    prune,
    widen,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """Nodes in running order with the plans that every backend shares.

    Attributes:
        name: whose program it is.
        phase: train or test.
        nodes: all nodes, section by section.
        blobs: name -> value, of the blobs that can be read after a run.
        gradients: name of a blob, or key of a parameter -> value of its gradient, as far as it can be read.
        losses: name of a loss layer -> its scalar, always readable.
        statistics: what layers report, always readable.
        inputs: what must be handed in: the inputs that something depends on.
        stored: parameters and states that the program reads or writes in the backend's store.
        scalars: names of the slots of the parameter block.
        memory: lifetimes and the arena.
        layouts: values of four axes that do not lie row-major in memory -> how they lie.
        outputs: name of an output layer -> the values that it hands out, always readable.
        narrow: values that lie in numbers of 16 bits -> how they are stored.
    """

    name: str
    phase: Phase
    nodes: tuple[Node, ...]
    blobs: Mapping[str, Value]
    gradients: Mapping[str, Value]
    losses: Mapping[str, Value]
    statistics: tuple[Statistic, ...]
    inputs: tuple[Value, ...]
    stored: tuple[Value, ...]
    scalars: tuple[str, ...]
    memory: MemoryPlan
    layouts: Mapping[Value, Layout] = dataclasses.field(default_factory=dict)
    outputs: Mapping[str, tuple[Value, ...]] = dataclasses.field(default_factory=dict)
    narrow: Mapping[Value, Stored] = dataclasses.field(default_factory=dict)

    def section(self, section: Section) -> list[Node]:
        """The nodes of one section."""
        return [node for node in self.nodes if node.section is section]

    def find(self, name: str, *, gradient: bool = False) -> Value:
        """The value of a blob, or of its gradient.

        Raises:
            StateError: the program does not keep it.
        """
        known = self.gradients if gradient else self.blobs
        if name not in known:
            what = "gradient" if gradient else "blob"
            raise StateError(
                f"program {self.name!r} keeps no {what} {name!r}. {did_you_mean(name, known)} A program run by a "
                "solver keeps "
                "only what a coffee break asks for with its `blobs`; one run by hand, net.forward() and "
                "net.backward(), "
                "keeps all."
            )
        return known[name]

    @property
    def work(self) -> int:
        """Arithmetic operations of one run of all sections."""
        return sum(node.work for node in self.nodes)

    def __str__(self) -> str:
        rows = []
        for number, node in enumerate(self.nodes):
            rows.append(
                (
                    str(number),
                    node.section.value,
                    node.layer,
                    str(node.op),
                    ", ".join(shape_text(v.shape) for v in node.inputs if v.kind is not Kind.SCALAR),
                    ", ".join(shape_text(v.shape) for v in node.outputs),
                    amount(node.work),
                    memory(node.traffic),
                )
            )
        head = ("#", "section", "layer", "op", "from", "to", "operations", "bytes")
        listing = table(head, rows, right=(0, 6, 7))
        plan = self.memory
        saved = 100 * (1 - plan.arena_bytes / plan.separate_bytes) if plan.separate_bytes else 0.0
        return (
            f"program {self.name!r}, phase {self.phase.value}: {len(self.nodes)} ops, {amount(self.work)} operations, "
            f"{memory(sum(node.traffic for node in self.nodes))} read and written\n{listing}\n"
            f"memory of computed values: {memory(plan.arena_bytes)} with reuse, {memory(plan.separate_bytes)} without "
            f"({saved:.0f} % saved)"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def build_program(
    name: str,
    graph: Graph,
    gradients: Mapping[str, Value],
    *,
    keep: Iterable[str] | None,
    fuse: bool = True,
    channels_last: bool = False,
    narrowing: Narrowing | None = None,
) -> Program:
    """Make a graph ready to run: prune, fuse, plan.

    Args:
        name: whose program it is.
        graph: with its backward and update sections, if it has any.
        gradients: name of a blob, or key of a parameter -> value of its gradient.
        keep: names of the blobs that are kept readable, each with its gradient where there is one. None stands for
            a program run by hand: all blobs and gradients are kept, and what backward reads of forward too, so that
            sections can be run again and again one by one.
        fuse: whether to join chains of ops.
        channels_last: whether the backend wants the blobs of convolutions and poolings channels last in memory.
        narrowing: whether, and how, the backend wants blobs in numbers of 16 bits.
    """
    by_hand = keep is None
    names = set(graph.blobs) if keep is None else set(keep)
    blobs = {blob: value for blob, value in graph.blobs.items() if blob in names}
    readable = {blob: value for blob, value in gradients.items() if by_hand or blob in names}
    kept = {*blobs.values(), *readable.values(), *graph.losses.values(), *(s.value for s in graph.statistics)}
    kept.update(value for values in graph.outputs.values() for value in values)
    nodes = prune(_by_section(graph.nodes), kept)
    if fuse:
        nodes = fuse_chains(nodes, kept)
    layouts: dict[Value, Layout] = {}
    if channels_last:
        nodes, layouts = plan_layout(prune(widen(nodes), kept))
    narrow: dict[Value, Stored] = {}
    if narrowing is not None:
        nodes, narrow = plan_storage(nodes, narrowing, layouts)
    lasting = kept | _crossing(nodes) if by_hand else kept
    used = {value for node in nodes for value in node.inputs} | kept
    return Program(
        name,
        graph.phase,
        tuple(nodes),
        blobs,
        readable,
        dict(graph.losses),
        tuple(graph.statistics),
        tuple(v for v in graph.sources(Kind.INPUT) if v in used),
        tuple(v for kind in (Kind.PARAMETER, Kind.STATE) for v in graph.sources(kind) if v in used),
        tuple(v.name for v in graph.sources(Kind.SCALAR) if v in used),
        plan_memory(nodes, lasting, narrow),
        layouts,
        dict(graph.outputs),
        narrow,
    )


def _by_section(nodes: Iterable[Node]) -> list[Node]:
    order = list(Section)
    return sorted(nodes, key=lambda node: order.index(node.section))


def _crossing(nodes: Iterable[Node]) -> set[Value]:
    """Values computed in one section and read in a later one."""
    return {
        v for node in nodes for v in node.inputs if v.producer is not None and v.producer.section is not node.section
    }
