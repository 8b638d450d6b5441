"""Recurrent layers: they read a sequence step by step, and begin where the pass before ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha import ops
from mocha.caffe.layer_types.base import Blob, CaffeLayer, reshaped
from mocha.graph import Graph, Value
from mocha.ops import Spec


class Recurrent(CaffeLayer):
    """What RNN and LSTM share.

    Bottoms: the sequence (T, B, ...), where it goes on (T, B), perhaps an input that stays the same (B, ...), and with
    expose_hidden the states to begin with. Tops: (T, B, D), and with expose_hidden the states in the end.
    """

    bottom_counts: ClassVar[tuple[int, int | None]] = (2, None)
    top_counts: ClassVar[tuple[int, int | None]] = (1, None)
    n_states: ClassVar[int] = 1
    n_gates: ClassVar[int] = 1

    def _check_counts(self) -> None:
        p = self.about.recurrent_param
        states = self.n_states if p.expose_hidden else 0
        if len(self.bottoms) not in (2 + states, 3 + states) or len(self.tops) != 1 + states:
            self.refuse(
                f"{len(self.bottoms)} bottoms and {len(self.tops)} tops; expected {2 + states} or {3 + states}, and "
                f"{1 + states}"
            )
        if p.num_output < 1:
            self.refuse(f"num_output is {p.num_output}; expected a number >= 1")

    @property
    def _static(self) -> bool:
        """Whether there is an input that stays the same."""
        return len(self.bottoms) - (self.n_states if self.about.recurrent_param.expose_hidden else 0) == 3

    def _inputs(self, *inputs: Spec) -> list[Blob]:
        """The weights of what comes in from outside, and the bias."""
        p, x = self.about.recurrent_param, inputs[0]
        if x.ndim < 2 or inputs[1].shape != x.shape[:2]:
            self.misfit(f"bottoms are {x} and {inputs[1]}; expected (T, B, ...) and (T, B)")
        rows = self.n_gates * p.num_output
        found = [self.filled("weight", (rows, math.prod(x.shape[2:])), p, "weight_filler"),
                 self.filled("bias", (rows,), p, "bias_filler")]  # fmt: skip
        if self._static:
            found.append(self.filled("static", (rows, math.prod(inputs[2].shape[1:])), p, "weight_filler"))
        return found

    def _gates(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Value:
        """What comes in from outside at each step: (T, B, gates D)."""
        x = inputs[0]
        steps, batch = x.shape[:2]
        flat = reshaped(g, x, (steps * batch, math.prod(x.shape[2:])))
        z = g(ops.AddBias(1), g(ops.InnerProduct(), flat, blobs[0]), blobs[1])
        z = g(ops.Reshape((steps, batch, z.shape[1])), z)
        if self._static:
            still = g(ops.InnerProduct(), inputs[2], blobs[2])
            z = g(ops.Add(), z, g(ops.Tile(0, steps), g(ops.Reshape((1, *still.shape)), still)))
        return z

    def state_names(self) -> list[str]:
        """What the kept states are called."""
        return [f"{self.param_key}/state {i}" for i in range(self.n_states)]

    def _states(self, g: Graph, inputs: Sequence[Value]) -> list[Value]:
        """The states to begin with: (B, D) each."""
        p, x = self.about.recurrent_param, inputs[0]
        spec = Spec((x.shape[1], p.num_output), x.dtype)
        if p.expose_hidden:
            return [reshaped(g, state, spec.shape) for state in inputs[-self.n_states :]]
        kept = [g.state(name, spec) for name in self.state_names()]
        return [g(ops.StopGradient(), state) for state in kept]

    def _keep(self, g: Graph, last: Sequence[Value]) -> list[Value]:
        """Remember the states in the end, or hand them out: (1, B, D) each."""
        if self.about.recurrent_param.expose_hidden:
            return [g(ops.Reshape((1, *state.shape)), state) for state in last]
        for name, state in zip(self.state_names(), last, strict=True):
            g(ops.MovingAverage(0.0), g.state(name, state.spec), state)
        return []


class RNN(Recurrent):
    """h_t = tanh(W_hh cont_t h_(t-1) + W_xh x_t + b_h), o_t = tanh(W_ho h_t + b_o); the top is o."""

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """W_xh, b_h, perhaps the static one, W_hh, W_ho, b_o."""
        p = self.about.recurrent_param
        square = (p.num_output, p.num_output)
        return [*self._inputs(*inputs), self.filled("hidden", square, p, "weight_filler"),
                self.filled("output", square, p, "weight_filler"),
                self.filled("output_bias", (p.num_output,), p, "bias_filler")]  # fmt: skip

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op for the sequence, an inner product for the outputs."""
        w_hh, w_ho, b_o = blobs[-3:]
        z = self._gates(g, inputs, blobs)
        h, last = g.apply(ops.RNN(), z, w_hh, inputs[1], *self._states(g, inputs))
        flat = g(ops.Reshape((h.shape[0] * h.shape[1], h.shape[2])), h)
        o = g(ops.Tanh(), g(ops.AddBias(1), g(ops.InnerProduct(), flat, w_ho), b_o))
        return [g(ops.Reshape(h.shape), o), *self._keep(g, [last])]


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997); the gates are i, f, o, g in this order."""

    n_states: ClassVar[int] = 2
    n_gates: ClassVar[int] = 4

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """W_xc, b_c, perhaps the static one, W_hc."""
        p = self.about.recurrent_param
        hidden = self.filled("hidden", (4 * p.num_output, p.num_output), p, "weight_filler")
        return [*self._inputs(*inputs), hidden]

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op for the sequence."""
        z = self._gates(g, inputs, blobs)
        h, last_h, last_c, *_ = g.apply(ops.LSTM(), z, blobs[-1], inputs[1], *self._states(g, inputs))
        return [h, *self._keep(g, [last_h, last_c])]


class LSTMUnit(CaffeLayer):
    """One step of an LSTM: bottoms c (1, B, D), gates (1, B, 4 D), where it goes on (1, B); tops c and h."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (3, 3)
    top_counts: ClassVar[tuple[int, int | None]] = (2, 2)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        c, gates, cont = inputs
        if len(c.shape) != 3 or gates.shape != (*c.shape[:2], 4 * c.shape[2]) or int(np.prod(cont.shape)) != c.shape[1]:
            self.misfit(f"bottoms are {c.spec}, {gates.spec}, {cont.spec}; expected (1, B, D), (1, B, 4 D), (1, B)")
        return g.apply(ops.LstmUnit(), c, gates, reshaped(g, cont, c.shape[:2]))[:2]
