"""Layout: which values of four axes lie channels last, and where one has to be turned.

The user sees N, C, H, W always. A backend whose convolutions want the channels last in memory says so, and this pass
spreads the wish over the nodes between, so that values are turned only at the edges: where data come in, and where an
op needs row-major order (an inner product's flattening, say).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mocha import ops
from mocha.graph.graph import Kind, Layout, Node, Value

_FILTERED = (ops.Convolution, ops.Deconvolution)
"""Ops whose second input is a filter."""

_SPATIAL = (
    *_FILTERED, ops.LRN, ops.MaxPooling, ops.MeanPooling, ops.StochasticPooling, ops.StochasticPoolingMean,
    ops.WinnerPlaces, ops.ResizeBilinear, ops.UpsampleNearest,
)  # fmt: skip
"""Ops that want their blobs channels last. Filters and biases keep their own order."""

_EITHER_WAY = (
    ops.Abs, ops.Add, ops.AddBias, ops.BatchNormTest, ops.BatchNormTrain, ops.BatchNormUnit, ops.Clip, ops.Divide,
    ops.ELU, ops.Exp, ops.L2Normalize, ops.LeakyReLU, ops.Log, ops.Maximum, ops.Multiply, ops.PReLU, ops.Power,
    ops.ReLU, ops.Scale, ops.ScaleChannels, ops.Sigmoid, ops.Softplus, ops.Standardize, ops.Subtract, ops.Sum,
    ops.Swish, ops.Tanh, ops.Threshold, ops.Tile, ops.TopK, ops.Window,
)  # fmt: skip
"""Ops that work in any order, as long as all their blobs have the same; they take that of their first blob."""

_AT_CHANNELS = (ops.AddBias, ops.ScaleChannels, ops.Standardize)
"""Of these, those that do so only if their axis is that of the channels."""


def plan_layout(nodes: Sequence[Node]) -> tuple[list[Node], dict[Value, Layout]]:
    """Choose layouts, and insert the nodes that turn values.

    Args:
        nodes: in running order.

    Returns:
        the nodes in running order, with `Reorder` nodes among them; and the layout of each value that lies channels
        last. Where a value has only one channel or one pixel both orders are the same bytes, and the turn is a view.
    """
    layouts: dict[Value, Layout] = {}
    turned: dict[tuple[Value, Layout], Value] = {}
    result: list[Node] = []

    def lying(value: Value) -> Layout:
        return layouts.get(value, Layout.ROW_MAJOR)

    def turn(value: Value, wish: Layout, node: Node) -> Value:
        """The value in the layout wished for."""
        if len(value.shape) != 4 or lying(value) is wish:
            return value
        key = (value, wish)
        if key not in turned:
            out = Value(value.spec, Kind.COMPUTED, value.name)
            out.producer = Node(ops.Reorder(same_bytes(value)), (value,), (out,), node.layer, node.section)
            result.append(out.producer)
            turned[key] = out
            if wish is Layout.CHANNELS_LAST:
                layouts[out] = wish
            turned[out, lying(value)] = value
        return turned[key]

    for node in nodes:
        wish = _wish(node, layouts)
        filters = _filters(node)
        inputs = tuple(v if i in filters else turn(v, wish, node) for i, v in enumerate(node.inputs))
        if inputs != node.inputs:
            node = _with_inputs(node, inputs)
        result.append(node)
        if wish is Layout.CHANNELS_LAST:
            layouts.update((out, wish) for out in _blobs(node) if len(out.shape) == 4)
        overwritten = {into for _, into in node.updated()}
        turned = {key: value for key, value in turned.items() if key[0] not in overwritten}
    return result, layouts


def same_bytes(value: Value) -> bool:
    """Whether both layouts of a value are the same bytes: one channel, or one pixel."""
    return value.shape[1] == 1 or value.shape[2] * value.shape[3] == 1


def _op(node: Node) -> ops.Op:
    """The op that decides: that of a gradient, the first of a chain."""
    op = node.op.of if isinstance(node.op, ops.Gradient) else node.op
    return op.steps[0] if isinstance(op, ops.Chain) else op


def _wish(node: Node, layouts: dict[Value, Layout]) -> Layout:
    op = _op(node)
    if isinstance(op, _SPATIAL):
        flat = any(len(v.shape) not in (0, 1, 4) for v in (*node.inputs, *node.outputs))
        return Layout.ROW_MAJOR if flat else Layout.CHANNELS_LAST
    if isinstance(op, _EITHER_WAY) and not (isinstance(op, _AT_CHANNELS) and op.axis != 1):
        blobs = [v for v in node.inputs if len(v.shape) == 4]
        return layouts.get(blobs[0], Layout.ROW_MAJOR) if blobs else Layout.ROW_MAJOR
    return Layout.ROW_MAJOR


def _filters(node: Node) -> Collection[int]:
    """The inputs that are no blobs: filters keep the order that they are learned and saved in."""
    return (1,) if isinstance(_op(node), _FILTERED) else ()


def _blobs(node: Node) -> list[Value]:
    """The outputs that are blobs, and not the gradient of a filter."""
    if not isinstance(node.op, ops.Gradient):
        return list(node.outputs)
    if isinstance(node.op.of, _FILTERED):
        wanted = [i for i, want in enumerate(node.op.wanted) if want]
        return [out for out, i in zip(node.outputs, wanted, strict=True) if i == 0]
    return list(node.outputs)


def _with_inputs(node: Node, inputs: tuple[Value, ...]) -> Node:
    changed = Node(node.op, inputs, node.outputs, node.layer, node.section)
    for value in node.outputs:
        value.producer = changed
    return changed
