"""Recurrent networks: the same cell at each step of a sequence, with its own last state as a further input.

The letters of the shape comments: T steps, B sequences side by side, D units. `cont`, one number a step and sequence,
multiplies the state that a step gets from the one before: 0 where a sequence begins, 1 where it goes on. Other numbers
are allowed, and the gradients are exact for them too; `cont` itself has no gradient.

What the inputs of a step contribute does not depend on the state. It is computed outside for all steps at once, by one
inner product.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_float
from mocha.ops.pointwise import Sigmoid


def _expect(op: Op, what: str, received: Spec, expected: Spec) -> None:
    if received != expected:
        raise ShapeError(f"{op.name}: {what} is {received}; expected {expected}, which fits the first input.")


def _check_sequence(op: Op, gates: int, x: Spec, w: Spec, cont: Spec, states: Sequence[Spec]) -> Spec:
    """The spec of the states of all steps, (T, B, D).

    Raises:
        ShapeError: the inputs do not fit each other.
    """
    check_float(op, x)
    if x.ndim != 3 or x.shape[2] == 0 or x.shape[2] % gates:
        per_unit = "D" if gates == 1 else f"{gates} D"
        raise ShapeError(f"{op.name}: the input is {x}; expected (steps, sequences, {per_unit}) for D >= 1 units.")
    steps, batch, units = x.shape[0], x.shape[1], x.shape[2] // gates
    _expect(op, "the weight", w, Spec((x.shape[2], units), x.dtype))
    _expect(op, "cont", cont, Spec((steps, batch), x.dtype))
    for name, state in zip(("h0", "c0"), states, strict=False):
        _expect(op, name, state, Spec((batch, units), x.dtype))
    return Spec((steps, batch, units), x.dtype)


def _unit(c_prev: Array, z: Array, cont: Array) -> tuple[Array, Array, Array]:
    """One step of long short-term memory: c, h and the gates, from the last c and what goes into the gates."""
    units = c_prev.shape[-1]
    gates = np.concatenate([Sigmoid().forward(z[..., : 3 * units]), np.tanh(z[..., 3 * units :])], axis=-1)
    i, f, o, g = np.split(gates, 4, axis=-1)
    c = cont[..., np.newaxis] * f * c_prev + i * g
    return c, o * np.tanh(c), gates


def _unit_back(c_prev: Array, cont: Array, c: Array, gates: Array, dc: Array, dh: Array) -> tuple[Array, Array]:
    """The gradients of the last c and of what goes into the gates."""
    i, f, o, g = np.split(gates, 4, axis=-1)
    passing, t = cont[..., np.newaxis], np.tanh(c)
    dc = dc + dh * o * (1 - t * t)
    into = [dc * g * i * (1 - i), dc * (passing * c_prev) * f * (1 - f), dh * t * o * (1 - o), dc * i * (1 - g * g)]
    return dc * (passing * f), np.concatenate(into, axis=-1)


def _states_before(h: Array, h0: Array, cont: Array) -> Array:
    """The state that each step gets, times cont: (T B, D)."""
    before = np.concatenate([h0[np.newaxis], h])[: h.shape[0]]
    return np.asarray((before * cont[..., np.newaxis]).reshape(-1, h0.shape[1]))


@dataclasses.dataclass(frozen=True)
class LstmUnit(Op):
    """One step of long short-term memory: c = cont f c_prev + i g, h = o tanh(c).

    z is the sum of all that goes into the gates, in the order i, f, o, g along the last axis: i, f and o are
    sigmoid(z), g is tanh(z).

    Shapes: c_prev (..., B, D), z (..., B, 4 D), cont (..., B) -> c and h like c_prev; gates like z, without a gradient.
    With e = dc + dh o (1 - tanh(c)^2): dc_prev = e cont f; dz = e g i (1 - i), e cont c_prev f (1 - f),
    dh tanh(c) o (1 - o), e i (1 - g^2) along the last axis. cont has no gradient.
    """

    n_aux = 1
    overwrites = ((2, 1),)

    def infer(self, c_prev: Spec, z: Spec, cont: Spec) -> tuple[Spec, Spec, Spec]:
        """(..., B, D), (..., B, 4 D), (..., B) -> (..., B, D), (..., B, D), (..., B, 4 D)."""
        check_float(self, c_prev)
        if c_prev.ndim < 2 or not c_prev.shape[-1]:
            raise ShapeError(f"{self.name}: the last state is {c_prev}; expected (..., B, D) for D >= 1 units.")
        *lead, units = c_prev.shape
        _expect(self, "what goes into the gates", z, Spec((*lead, 4 * units), c_prev.dtype))
        _expect(self, "cont", cont, Spec(tuple(lead), c_prev.dtype))
        return c_prev, c_prev, z

    def forward(self, c_prev: Array, z: Array, cont: Array) -> tuple[Array, Array, Array]:
        """One step."""
        with np.errstate(invalid="ignore"):
            return _unit(c_prev, z, cont)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """One step back."""
        with np.errstate(invalid="ignore"):
            return *_unit_back(inputs[0], inputs[2], outputs[0], outputs[2], *grads), None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The states and the gates, not what went into them."""
        return (0, 2), (0, 2)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The state and what goes into the gates, not cont."""
        return (0, 1)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Five functions and four products and sums a unit."""
        return 10 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class LSTM(Op):
    """Long short-term memory over a whole sequence (Hochreiter and Schmidhuber, Neural Computation 9(8), 1997).

    z_t = x_t + W (cont_t h_{t-1}), and c_t and h_t from c_{t-1} and z_t as in `LstmUnit`: gates in the order
    i, f, o, g, no peepholes. The states before the first step are h0 and c0.

    Shapes: x (T, B, 4 D), W (4 D, D), cont (T, B), h0 and c0 (B, D) -> h (T, B, D), h_T and c_T (B, D), which are h0
    and c0 if there are no steps; then c (T, B, D) and the gates (T, B, 4 D), which carry no gradient. The gradients of
    x, W, h0 and c0 are those of the unrolled steps. cont has none.
    """

    n_aux = 2
    overwrites = ((4, 0),)

    def infer(self, x: Spec, w: Spec, cont: Spec, h0: Spec, c0: Spec) -> tuple[Spec, ...]:
        """(T, B, 4 D), (4 D, D), (T, B), (B, D), (B, D) -> (T, B, D), (B, D), (B, D), (T, B, D), (T, B, 4 D)."""
        h = _check_sequence(self, 4, x, w, cont, (h0, c0))
        return h, h0, c0, h, x

    def forward(self, x: Array, w: Array, cont: Array, h0: Array, c0: Array) -> tuple[Array, ...]:
        """Step by step."""
        h, c = (np.empty((*cont.shape, h0.shape[1]), x.dtype) for _ in range(2))
        gates = np.empty_like(x)
        last_h, last_c = h0, c0
        with np.errstate(invalid="ignore"):
            for t in range(x.shape[0]):
                z = x[t] + (cont[t, :, np.newaxis] * last_h) @ w.T
                c[t], h[t], gates[t] = _unit(last_c, z, cont[t])
                last_h, last_c = h[t], c[t]
        return h, last_h.copy(), last_c.copy(), c, gates

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Back through the steps, then one product for the weight."""
        _, w, cont, h0, c0 = inputs
        h, c, gates = outputs[0], outputs[3], outputs[4]
        dh, dc = grads[1].copy(), grads[2].copy()
        dz = np.empty_like(gates)
        with np.errstate(invalid="ignore"):
            for t in reversed(range(dz.shape[0])):
                before = c[t - 1] if t else c0
                dc, dz[t] = _unit_back(before, cont[t], c[t], gates[t], dc, grads[0][t] + dh)
                dh = cont[t, :, np.newaxis] * (dz[t] @ w)
            dw = dz.reshape(-1, w.shape[0]).T @ _states_before(h, h0, cont) if wanted[1] else None
        return dz, dw, None, dh, dc

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """All but the input and the last states."""
        return (1, 2, 3, 4), (0, 3, 4)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """All but cont."""
        return (0, 1, 3, 4)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """The products with the weight, and ten operations a unit."""
        return outputs[0].size * (2 * inputs[1].shape[0] + 10)


@dataclasses.dataclass(frozen=True)
class RNN(Op):
    """A simple recurrent network over a whole sequence: h_t = tanh(x_t + W (cont_t h_{t-1})), from h0 on.

    Shapes: x (T, B, D), W (D, D), cont (T, B), h0 (B, D) -> h (T, B, D), h_T (B, D), which is h0 if there are no steps.
    The gradients of x, W and h0 are those of the unrolled steps. cont has none.
    """

    overwrites = ((0, 0),)

    def infer(self, x: Spec, w: Spec, cont: Spec, h0: Spec) -> tuple[Spec, Spec]:
        """(T, B, D), (D, D), (T, B), (B, D) -> (T, B, D), (B, D)."""
        return _check_sequence(self, 1, x, w, cont, (h0,)), h0

    def forward(self, x: Array, w: Array, cont: Array, h0: Array) -> tuple[Array, Array]:
        """Step by step."""
        h, last = np.empty_like(x), h0
        with np.errstate(invalid="ignore"):
            for t in range(x.shape[0]):
                h[t] = np.tanh(x[t] + (cont[t, :, np.newaxis] * last) @ w.T)
                last = h[t]
        return h, last.copy()

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Back through the steps, then one product for the weight."""
        _, w, cont, h0 = inputs
        h, dh = outputs[0], grads[1].copy()
        dz = np.empty_like(h)
        with np.errstate(invalid="ignore"):
            for t in reversed(range(h.shape[0])):
                dz[t] = (grads[0][t] + dh) * (1 - h[t] * h[t])
                dh = cont[t, :, np.newaxis] * (dz[t] @ w)
            dw = dz.reshape(-1, w.shape[0]).T @ _states_before(h, h0, cont) if wanted[1] else None
        return dz, dw, None, dh

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """All but the input and the last state."""
        return (1, 2, 3), (0,)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """All but cont."""
        return (0, 1, 3)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """The products with the weight, and a function a unit."""
        return outputs[0].size * (2 * inputs[1].shape[0] + 2)
