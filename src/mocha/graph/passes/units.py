"""Units: batch normalisation and what stands behind it, scale, shift, a sum with another blob, a ReLU, become one op.

Each of these alone reads and writes whole blobs and computes next to nothing, so that memory is all that they wait for.
They are joined before gradients are derived: then the way back is one op, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from mocha import ops
from mocha.graph.graph import Graph, Node, Value, users


def fuse_units(graph: Graph, keep: Iterable[str] | None) -> None:
    """Put a `BatchNormUnit` in the place of each BatchNormTrain, ScaleChannels, AddBias, and perhaps Add or Sum, ReLU.

    What lies between them is gone then, and so are its names. So nothing is joined over a value that somebody else
    reads: another node, a loss, a statistic, an output layer, or who asked for the blob.

    Args:
        graph: the forward section, before gradients are derived. It is changed.
        keep: names of the blobs that are read after a run. None stands for a program run by hand, which keeps all: the
            graph stays as it is.
    """
    if keep is None:
        return
    read = {graph.blobs[name] for name in keep if name in graph.blobs}
    read.update(graph.losses.values(), (s.value for s in graph.statistics), *graph.outputs.values())
    # the later of two that meet in a sum takes it: next to nothing stands between its first op and the sum
    for head in [node for node in reversed(graph.nodes) if isinstance(node.op, ops.BatchNormTrain)]:
        chain = _chain(head, users(graph.nodes), read)
        for length in range(len(chain), _LEAST - 1, -1):
            if _replace(graph, chain[:length]):
                break


_LEAST = 3
"""Ops of a unit: normalisation, scale and shift."""


def _is_scale(node: Node, of: Value) -> bool:
    return isinstance(node.op, ops.ScaleChannels) and node.op.axis % len(of.shape) == 1


def _is_shift(node: Node, of: Value) -> bool:
    return isinstance(node.op, ops.AddBias) and node.op.axis % len(of.shape) == 1


def _is_sum(node: Node, of: Value) -> bool:
    return isinstance(node.op, (ops.Add, ops.Sum)) and len(node.inputs) == 2


def _is_relu(node: Node, of: Value) -> bool:
    return isinstance(node.op, ops.ReLU) and node.op.floor == 0


_PARTS: tuple[Callable[[Node, Value], bool], ...] = (_is_scale, _is_shift, _is_sum, _is_relu)
"""What may follow, in this order; of the first ones each must be there."""


def _chain(head: Node, used_by: dict[Value, list[Node]], read: Collection[Value]) -> list[Node]:
    """The head, and the nodes behind it that can be one with it; too few where one is missing."""
    chain = [head]
    for fits in _PARTS:
        value = chain[-1].outputs[0]
        readers = used_by.get(value, [])
        alone = len(readers) == 1 and value not in read and readers[0].section is head.section
        if alone and fits(readers[0], value):
            chain.append(readers[0])
        elif len(chain) < _LEAST:
            break
    return chain


def _replace(graph: Graph, chain: Sequence[Node]) -> bool:
    """Put one node in the place of several; False, and nothing is changed, if there is no order to run it in."""
    head, scale, shift = chain[:_LEAST]
    between = [node.outputs[0] for node in chain[:-1]]
    sums = [node for node in chain[_LEAST:] if not isinstance(node.op, ops.ReLU)]
    others = [value for node in sums for value in node.inputs if value not in between]
    assert isinstance(head.op, ops.BatchNormTrain)
    op = ops.BatchNormUnit(head.op.eps, isinstance(chain[-1].op, ops.ReLU), bool(others))
    inputs = head.inputs[0], scale.inputs[1], shift.inputs[1], *others
    outputs = chain[-1].outputs[0], *head.outputs[1:]
    unit = Node(op, inputs, outputs, chain[-1].layer, head.section)
    nodes = _placed(graph.nodes, chain, unit)
    if nodes is None:
        return False
    graph.nodes[:] = nodes
    for value in outputs:
        value.producer = unit
    for name in [name for name, value in graph.blobs.items() if value in between]:
        del graph.blobs[name]
    return True


def _placed(nodes: Sequence[Node], chain: Sequence[Node], unit: Node) -> list[Node] | None:
    """The nodes with the unit where the last of the chain stood, and behind it those that use its statistics.

    None if the unit would have to run before and behind another node.
    """
    first, last = nodes.index(chain[0]), nodes.index(chain[-1])
    late = set(unit.outputs)
    staying: list[Node] = []
    waiting: list[Node] = []
    for node in nodes[first:last]:
        if node in chain:
            continue
        if late.intersection(node.inputs) or any(_disturbs(node, other) for other in waiting):
            waiting.append(node)
            late.update(node.outputs)
        else:
            staying.append(node)
    if late.intersection(unit.inputs) or any(_disturbs(node, unit) for node in (*staying, *waiting)):
        return None
    return [*nodes[:first], *staying, unit, *waiting, *nodes[last + 1 :]]


def _disturbs(node: Node, other: Node) -> bool:
    """Whether two nodes may not change places, because one overwrites a stored value that the other one uses."""
    overwritten, by_other = ({into for _, into in n.updated()} for n in (node, other))
    return node.section is other.section and not (
        overwritten.isdisjoint(other.inputs) and by_other.isdisjoint(node.inputs)
    )
