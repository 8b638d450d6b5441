"""Which blob of a net says what an image shows."""

from __future__ import annotations

from mocha.errors import ConfigError
from mocha.graph import Graph, Kind, Phase, Value
from mocha.net import Net
from mocha.ops import Softmax, SoftmaxLoss


def find_scores(net: Net) -> str:
    """The blob of scores.

    It is the softmax that ends the net; else what a softmax loss is computed from; else the last blob that no layer
    reads.

    Args:
        net: the net.

    Raises:
        ConfigError: it has no blob that it computes.
    """
    graph = net.lower(Phase.TEST)
    names = {value: name for name, value in graph.blobs.items()}
    read = {value for node in graph.nodes for value in node.inputs}
    computed = [value for value in names if value.kind is Kind.COMPUTED]
    ends = [value for value in computed if value not in read]
    softmaxes = [value for value in ends if _made_by_softmax(value)]
    lost = [node.inputs[0] for node in graph.nodes if isinstance(node.op, SoftmaxLoss) and node.inputs[0] in names]
    for found in (softmaxes, lost, ends, computed):
        if found:
            return names[found[-1]]
    raise ConfigError(f"net {net.name!r} computes no blob; expected one that ends in scores of classes.")


def is_probability(net: Net, blob: str) -> bool:
    """Whether a softmax made the blob: its values are probabilities then."""
    graph: Graph = net.lower(Phase.TEST)
    return _made_by_softmax(graph.blobs[blob])


def _made_by_softmax(value: Value) -> bool:
    """Also if it was only given another shape since."""
    node = value.producer
    while node is not None and node.op.is_view:
        node = node.inputs[0].producer
    return node is not None and isinstance(node.op, Softmax)
