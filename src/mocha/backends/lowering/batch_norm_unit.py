"""Batch normalisation with what stands behind it as calls of kernels, in any layout."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, around_axis
from mocha.graph import Node
from mocha.ops import BatchNormUnit, Gradient, Op


def _unit(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    """Whole numbers: (outer, channels, inner), whether there is a ReLU, whether there is another blob."""
    assert isinstance(op, BatchNormUnit)
    ints = (*around_axis(node.inputs[0], 1, layouts), int(op.relu), int(op.residual))
    return [Call("batch_norm_unit_forward", node.inputs, node.outputs, ints, (op.eps,))]


def _unit_back(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    """Whole numbers: (outer, channels, inner), whether there is a ReLU, whether each of four gradients is wanted."""
    assert isinstance(op, BatchNormUnit)
    assert isinstance(node.op, Gradient)
    wanted = [*node.op.wanted, False][:4]
    ints = (*around_axis(node.inputs[0], 1, layouts), int(op.relu), *map(int, wanted))
    return [Call("batch_norm_unit_backward", node.inputs, node.outputs, ints, (op.eps,))]


FORWARD: dict[type[Op], Lowering] = {BatchNormUnit: _unit}
BACKWARD: dict[type[Op], Lowering] = {BatchNormUnit: _unit_back}
