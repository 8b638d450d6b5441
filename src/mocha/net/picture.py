"""A net as plain records, for `mocha.visual` to draw."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mocha.graph import Graph, Kind, Node, Phase, Section
from mocha.graph.listing import amount, memory
from mocha.layers import Layer, OutputLayer, SourceLayer
from mocha.ops import Shape
from mocha.parameters import Parameter
from mocha.visual.net_picture import LayerBox, NetPicture, Role

if TYPE_CHECKING:
    from mocha.net.net import Net

_ROLES = (
    (Role.PRODUCT, r"conv|dense|recurrent|unfold"),
    (Role.POOLING, r"pool.*|stochastic_pool|roi_pool"),
    (Role.NORMALISING, r"norm|batch_norm.*|standardize"),
    (Role.ARRANGING, r"arrange|shape|crop|gather|transport|resize|index"),
    (Role.POINTWISE, r"activation|pointwise|random|softmax|compound|maximum"),
)
"""Role of a layer -> families of ops of which one makes it so; the first that fits."""


def net_picture(net: Net, phase: Phase = Phase.TRAIN) -> NetPicture:
    """What a net tells of itself.

    Args:
        net: the net.
        phase: in which its operations are counted.
    """
    graph = net.lower(phase)
    claims = net.parameters_by_layer()
    specs = {top: spec for feed in net.feeds.values() for top, spec in feed.source.specs.items()}
    nodes: dict[str, list[Node]] = {}
    for node in graph.nodes:
        nodes.setdefault(node.layer, []).append(node)
    trainable = set(net.trainable())
    owners: dict[Parameter, str] = {}
    boxes = []
    for layer in net.layers:
        mine = claims.get(layer.name, ())
        kind, facts = layer.tell()
        tops = layer.bottoms if layer.in_place else layer.tops
        loans = layer.borrows()
        borrowed = [net.backend.registry.find(loan.key, loan.name) for loan in loans]
        lent = [owners[p] for p in mine if p in owners]
        # who lends may be in another net
        lent += [owners.get(p, loan.key) for p, loan in zip(borrowed, loans, strict=True)]
        learning = [p for p in mine if p.about.learned]
        learning += [p for p, loan in zip(borrowed, loans, strict=True) if loan.learns]
        boxes.append(
            LayerBox(
                name=layer.name,
                kind=kind,
                role=role_of(layer, nodes.get(layer.name, ()), graph),
                facts=facts,
                bottoms=layer.bottoms,
                tops=tops,
                shapes={top: specs[top].shape if top in specs else graph.blobs[top].shape for top in tops},
                parameters=sum(p.about.spec.size for p in mine if p not in owners and p.about.learned),
                statistics=sum(p.about.spec.size for p in mine if p not in owners and not p.about.learned),
                shares=lent[0] if lent else "",
                frozen=(bool(mine) and net.is_frozen(layer.name))
                or (bool(learning) and trainable.isdisjoint(learning)),
            )
        )
        for parameter in mine:
            owners.setdefault(parameter, layer.name)
    data = [spec.shape for spec in specs.values()]
    return NetPicture(net.name, boxes, totals(graph, len(boxes), net.parameters, data))


def role_of(layer: Layer, nodes: Iterable[Node], graph: Graph) -> Role:
    """What kind of work a layer does, by what it writes into the graph."""
    if isinstance(layer, SourceLayer) or (not layer.bottoms and not layer.borrows() and layer.tops):
        return Role.DATA
    if layer.name in graph.loss_layers:
        return Role.LOSS
    if any(statistic.layer == layer.name for statistic in graph.statistics):
        return Role.MEASURE
    if isinstance(layer, OutputLayer) or layer.name in graph.outputs:
        return Role.OUTPUT
    families = set(map(_family, nodes))
    for role, pattern in _ROLES:
        if any(re.fullmatch(pattern, family) for family in families):
            return role
    return Role.OTHER


def _family(node: Node) -> str:
    """The family of ops that a node's belongs to."""
    return type(node.op).__module__.rpartition(".")[2]


def totals(graph: Graph, layers: int, parameters: Sequence[Parameter], data: Iterable[Shape]) -> list[str]:
    """What is said below the net's name.

    Args:
        graph: the net, its forward section.
        layers: how many there are.
        parameters: each once.
        data: shapes of what data layers make. Their first sizes are the examples in a batch, if they agree.
    """
    batch = _batch(graph, data)
    computed = {value for value in graph.blobs.values() if value.kind in (Kind.COMPUTED, Kind.INPUT)}
    blobs = memory(sum(value.spec.nbytes for value in computed))
    work = sum(node.work for node in graph.nodes if node.section is Section.FORWARD)
    told = [f"{layers} layers", numbers_kept(parameters)]
    told.append(f"blobs {blobs}" + (f" in batches of {batch}" if batch else ""))
    told.append(f"forward {amount(work / (batch or 1))} operations " + ("an example" if batch else "a batch"))
    return told


def _batch(graph: Graph, data: Iterable[Shape]) -> int:
    """Examples in a batch; 0 where nobody can say: the first size of a sequence may be its length."""
    sizes = {shape[0] if shape else 0 for shape in data}
    sequences = any(_family(node) == "recurrent" for node in graph.nodes)
    return sizes.pop() if len(sizes) == 1 and not sequences else 0


def numbers_kept(parameters: Sequence[Parameter]) -> str:
    """How many numbers are learned, and how many are kept beside them."""
    learned = [p.about.spec for p in parameters if p.about.learned]
    statistics = sum(p.about.spec.size for p in parameters if not p.about.learned)
    told = f"{sum(spec.size for spec in learned):,} parameters ({memory(sum(spec.nbytes for spec in learned))})"
    return told + (f", {statistics:,} running statistics" if statistics else "")
