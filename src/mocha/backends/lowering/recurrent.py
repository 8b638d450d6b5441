"""Recurrent networks as calls of kernels."""

from __future__ import annotations

from mocha.backends.lowering.calls import Call, Layouts, Lowering
from mocha.backends.lowering.loss import turned
from mocha.graph import Node
from mocha.ops import LSTM, RNN, Gradient, LstmUnit, Op


def _wanted(node: Node) -> tuple[int, ...]:
    """Which gradients are, those of inputs that have any; none for an op itself."""
    if not isinstance(node.op, Gradient):
        return ()
    of = node.op.of
    return tuple(int(node.op.wanted[i]) for i in of.differentiable(len(node.op.inputs)))


def _sequence(kernel: str) -> Lowering:
    """One call for all steps."""

    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call]:
        assert isinstance(op, (LSTM, RNN))
        w, cont = node.inputs[:2] if isinstance(node.op, Gradient) else node.inputs[1:3]
        return [Call(kernel, node.inputs, node.outputs, (*cont.shape, w.shape[1], *_wanted(node)), ())]

    return lower


def _unit(kernel: str) -> Lowering:
    def lower(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
        assert isinstance(op, LstmUnit)
        if turned(node, layouts):
            return None
        c = node.inputs[0].spec
        ints = (c.size // c.shape[-1], c.shape[-1], *_wanted(node))
        return [Call(kernel, node.inputs, node.outputs, ints)]

    return lower


FORWARD: dict[type[Op], Lowering] = {
    LSTM: _sequence("lstm_forward"),
    RNN: _sequence("rnn_forward"),
    LstmUnit: _unit("lstm_unit_forward"),
}
BACKWARD: dict[type[Op], Lowering] = {
    LSTM: _sequence("lstm_backward"),
    RNN: _sequence("rnn_backward"),
    LstmUnit: _unit("lstm_unit_backward"),
}
