"""Stochastic pooling as calls of kernels: images that lie channels last.

Those of one axis come as images of a single row; the reference does those of three axes.
"""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering, is_channels_last
from mocha.backends.lowering.pool import geometry
from mocha.graph import Node
from mocha.ops import Gradient, Op, StochasticPooling, StochasticPoolingMean


def _pool(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, (StochasticPooling, StochasticPoolingMean))
        blobs = [value for value in (*node.inputs, *node.outputs) if value.shape]
        if len(op.kernel) != 2 or not all(is_channels_last(value, layouts) for value in blobs):
            return None
        if isinstance(node.op, Gradient):
            x, outputs = node.op.inputs[0], node.op.outputs
        else:
            x, outputs = node.inputs[0].spec, tuple(value.spec for value in node.outputs)
        stream = op.stream if isinstance(op, StochasticPooling) else 0
        ints = (*geometry(x, outputs, op.kernel, op.stride, (0, 0)), stream)
        return [Call(kernel, node.inputs, node.outputs, ints)]

    return lower


FORWARD: dict[type[Op], Lowering] = {
    StochasticPooling: _pool("stochastic_pool_forward"),
    StochasticPoolingMean: _pool("stochastic_mean_forward"),
}
BACKWARD: dict[type[Op], Lowering] = {
    StochasticPooling: _pool("max_pool_backward"),  # winners are winners
    StochasticPoolingMean: _pool("stochastic_mean_backward"),
}
