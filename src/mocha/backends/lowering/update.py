"""The update family as calls of kernels: the way of a gradient into its parameter is one call, and one for many."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mocha.backends.lowering.calls import Call, Layouts, Lowering
from mocha.graph import Node, Value
from mocha.ops import (
    AdadeltaStep,
    AdagradStep,
    AdamStep,
    Chain,
    ClipByNorm,
    GlobalNorm,
    L1Decay,
    L2Decay,
    L2NormConstraint,
    NesterovStep,
    Op,
    RmsPropStep,
    SgdStep,
)

_STATES = {"sgd_update": 1, "nesterov_update": 1, "adam_update": 2, "root_update": 1, "adadelta_update": 2}
"""Kernel of a step -> how many states it keeps of a parameter. These kernels write stored arrays only, in place: calls
of them have nothing to do with each other."""


def _kernel(step: Op) -> tuple[str, tuple[float, ...]] | None:
    """The kernel of a solver's step, and its own numbers."""
    match step:
        case SgdStep():
            return "sgd_update", ()
        case NesterovStep():
            return "nesterov_update", ()
        case AdamStep(_, beta1, beta2, epsilon, decay):
            return "adam_update", (beta1, 1 - beta1, beta2, 1 - beta2, epsilon, decay)
        case AdagradStep(_, epsilon) | RmsPropStep(_, _, epsilon):
            return "root_update", (*step.shares, epsilon)
        case AdadeltaStep(_, rho, epsilon):
            return "adadelta_update", (rho, 1 - rho, epsilon)
    return None


@dataclasses.dataclass
class _Treatment:
    """What is done to a gradient before the step: clipped first, then penalised.

    Attributes:
        clip: the threshold of the norm, 0 for none.
        norm: the norm, with a threshold.
        l2: weight of the L2 penalty, and l2_of the parameter that it is on.
        l1: likewise.
        rate: the parameter's own multiple of the learning rate.
    """

    clip: float = 0.0
    norm: Value | None = None
    l2: float = 0.0
    l2_of: Value | None = None
    l1: float = 0.0
    l1_of: Value | None = None
    rate: float = 1.0

    def add(self, op: Op, given: Value) -> bool:
        """Take one more op in, with its second input; False if the kernels cannot do that in their order."""
        if isinstance(op, ClipByNorm):
            fits = self == _Treatment()
            self.clip, self.norm = op.threshold, given
            return fits
        if isinstance(op, L2Decay):
            fits = self.l2_of in (None, given)
            self.l2, self.l2_of = self.l2 + op.coef, given
            return fits
        if isinstance(op, L1Decay):
            fits = self.l1_of in (None, given)
            self.l1, self.l1_of = self.l1 + op.coef, given
            return fits
        return False

    @property
    def reals(self) -> tuple[float, ...]:
        """As the kernels take them."""
        return self.clip, self.l2, self.l1, self.rate


def _treated(steps: Sequence[tuple[Op, Value]]) -> _Treatment | None:
    """Ops on a gradient, each with its second input, as one treatment."""
    treatment = _Treatment()
    return treatment if all(treatment.add(op, given) for op, given in steps) else None


def _on_gradient(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """Clipping and penalties without a step, one or several."""
    steps = node.op.steps if isinstance(node.op, Chain) else (node.op,)
    gradient, *given = node.inputs
    treatment = _treated(list(zip(steps, given, strict=True)))
    if treatment is None:
        return None
    inputs = (
        gradient,
        treatment.l2_of or gradient,
        treatment.l1_of or gradient,
        treatment.norm or gradient,
    )
    return [Call("treat_gradient", inputs, node.outputs, (1, gradient.spec.size), treatment.reals)]


def chain(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    """A step with what comes before it, or alone: one pass over gradient, parameter and states."""
    steps = op.steps if isinstance(op, Chain) else (op,)
    before, step = steps[:-1], steps[-1]
    found = _kernel(step)
    if found is None:
        return None
    kernel, own = found
    gradient = node.inputs[0]
    given = node.inputs[1 : 1 + len(before)]
    parameter, *others = node.inputs[1 + len(before) :]
    states, rates = others[: _STATES[kernel]], others[_STATES[kernel] :]
    treatment = _treated(list(zip(before, given, strict=True)))
    if treatment is None:
        return None
    treatment.rate = getattr(step, "local_rate")  # noqa: B009  each of these steps has one
    inputs = (
        gradient,
        parameter,
        *states,
        treatment.l2_of or parameter,
        treatment.l1_of or parameter,
        treatment.norm or rates[0],
        *rates,
    )
    return [Call(kernel, inputs, node.outputs, (1, gradient.spec.size), (*treatment.reals, *own))]


def merge_updates(calls: Sequence[Call]) -> list[Call]:
    """Join neighbouring updates into one call for many parameters, so that small ones cost nothing of their own.

    An update that reads or writes what another one of the call writes stays apart from it.
    """
    merged: list[Call] = []
    written: set[Value] = set()
    for call in calls:
        last = merged[-1] if merged else None
        own = set(call.inputs[1 : 2 + _STATES[call.kernel]]) if call.kernel in _STATES else set()
        if (
            last is None
            or not _alike(last, call)
            or written.intersection(call.inputs)
            or own.intersection(last.inputs)  # they run at once: the other one may read too late
        ):
            merged.append(call)
            written = set()
        else:
            merged[-1] = Call(
                call.kernel,
                (*last.inputs, *call.inputs),
                (*last.outputs, *call.outputs),
                (last.ints[0] + call.ints[0], *last.ints[1:], *call.ints[1:]),
                (*last.reals, *call.reals),
            )
        written |= own
    return merged


def _alike(a: Call, b: Call) -> bool:
    return a.kernel in _STATES and a.kernel == b.kernel and a.inputs[0].dtype == b.inputs[0].dtype


def _global_norm(op: Op, node: Node, layouts: Layouts) -> list[Call] | None:
    if len({value.dtype for value in node.inputs}) != 1:
        return None
    sizes = (value.spec.size for value in node.inputs)
    return [Call("global_norm", node.inputs, node.outputs, (len(node.inputs), *sizes))]


def _constraint(op: Op, node: Node, layouts: Layouts) -> list[Call]:
    assert isinstance(op, L2NormConstraint)
    w = node.inputs[0]
    rows = w.shape[0] if len(w.shape) >= 2 else 1
    ints = (rows, w.spec.size // max(rows, 1), op.every)
    return [Call("l2_norm_constraint", node.inputs, node.outputs, ints, (op.threshold,))]


FORWARD: dict[type[Op], Lowering] = {
    ClipByNorm: _on_gradient,
    L2Decay: _on_gradient,
    L1Decay: _on_gradient,
    SgdStep: chain,
    NesterovStep: chain,
    AdamStep: chain,
    AdagradStep: chain,
    RmsPropStep: chain,
    AdadeltaStep: chain,
    GlobalNorm: _global_norm,
    L2NormConstraint: _constraint,
}
BACKWARD: dict[type[Op], Lowering] = {}
