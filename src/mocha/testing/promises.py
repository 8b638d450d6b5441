"""What an op promises beyond its numbers: shapes and types, untouched inputs, honest `reads`, indices that exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mocha.ops import Array, Gradient, Op, Spec
from mocha.ops.base import as_tuple
from mocha.testing.case import rounded


def check_promises(op: Op, *inputs: Array, seed: int = 0) -> None:
    """Check all that can be checked of an op without differences, in float32 and in float64.

    * `forward` gives what `infer` promised; a view has its input's elements.
    * `overwrites` and `updates` name inputs and outputs that exist, and an updated input has its output's shape.
    * `backward` gives gradients of the inputs' shapes and types.
    * `backward` gives the same whichever gradients are wanted beside.
    * `backward` gives the same without what `reads` does not name.
    * Neither changes an array that it was given.

    Args:
        op: the op.
        inputs: arrays that fit it, floating-point ones as float64.
        seed: of the gradients that `backward` gets.

    Raises:
        AssertionError: a promise is broken; the message says by which op and how.
    """
    for dtype in (np.float32, np.float64):
        given = rounded(op, inputs, dtype)
        with np.errstate(all="ignore"):
            outputs = _check_forward(op, given)
            if len(op.differentiable(len(given))):
                _check_backward(op, given, outputs, seed)


def output_gradients(op: Op, outputs: Sequence[Array], seed: int) -> list[Array]:
    """Random gradients of the outputs, without those of the auxiliary ones."""
    rng = np.random.default_rng([seed, 1])
    main = outputs[: len(outputs) - op.n_aux]
    return [rng.standard_normal(np.shape(out)).astype(out.dtype) for out in main]


def require(op: Op, holds: bool, what: str) -> None:
    """One promise.

    Raises:
        AssertionError: it does not hold.
    """
    if not holds:
        raise AssertionError(f"{op}: {what}")


def _check_forward(op: Op, inputs: Sequence[Array]) -> list[Array]:
    before = [x.copy() for x in inputs]
    promised = as_tuple(op.infer(*map(Spec.of, inputs)))
    outputs = [np.asarray(out) for out in as_tuple(op.forward(*inputs))]
    found = tuple(map(Spec.of, outputs))
    require(op, found == promised, f"forward gave {_listed(found)}; infer promised {_listed(promised)}.")
    _check_untouched(op, "forward", "input", before, inputs)
    require(op, 0 <= op.n_aux <= len(outputs), f"n_aux is {op.n_aux} of {len(outputs)} outputs.")
    for kind, pairs in (("overwrites", op.overwrites), ("updates", op.updates)):
        for out, into in pairs:
            pair = f"{kind} names output {out} and input {into}"
            exists = 0 <= out < len(outputs) and 0 <= into < len(inputs)
            require(op, exists, f"{pair}; there are {len(outputs)} outputs and {len(inputs)} inputs.")
            fits = kind == "overwrites" or found[out] == Spec.of(inputs[into])
            require(op, fits, f"{pair}, but the one is {found[out]} and the other {Spec.of(inputs[into])}.")
    if op.is_view:
        same = len(outputs) == 1 and np.array_equal(outputs[0].reshape(-1), inputs[0].reshape(-1), equal_nan=True)
        require(op, same, "is_view is set, but the output is not the first input under another shape.")
    return outputs


def _check_backward(op: Op, inputs: Sequence[Array], outputs: Sequence[Array], seed: int) -> None:
    grads = output_gradients(op, outputs, seed)
    can = set(op.differentiable(len(inputs)))
    wanted = tuple(i in can for i in range(len(inputs)))
    given = [*inputs, *outputs, *grads]
    before = [np.array(x) for x in given]
    whole = _backward(op, grads, inputs, outputs, wanted)
    _check_untouched(op, "backward", "array", before, given)
    for i in sorted(can):
        require(op, whole[i] is not None, f"backward gave no gradient of input {i}; it is wanted and differentiable.")
        found = Spec.of(np.asarray(whole[i]))
        require(op, found == Spec.of(inputs[i]), f"backward gave {found} for input {i}, which is {Spec.of(inputs[i])}.")
        alone = _backward(op, grads, inputs, outputs, tuple(j == i for j in range(len(inputs))))
        require(op, _close(alone[i], whole[i]), f"backward gives another gradient of input {i} if only that is wanted.")
    node = Gradient(op, wanted, tuple(map(Spec.of, inputs)), tuple(map(Spec.of, outputs)))
    read_in, read_out = node.saved
    try:
        frugal = node.forward(*(inputs[i] for i in read_in), *(outputs[i] for i in read_out), *grads)
    except Exception as error:
        raise AssertionError(
            f"{op}: backward fails without what `reads` leaves out (it reads inputs {list(read_in)} and outputs "
            f"{list(read_out)}): {type(error).__name__}: {error}"
        ) from error
    for i, gradient in zip(sorted(can), frugal, strict=True):
        same = _close(gradient, whole[i])
        require(op, same, f"backward gives another gradient of input {i} without what `reads` leaves out.")


def _backward(
    op: Op, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: tuple[bool, ...]
) -> tuple[Any, ...]:
    result = as_tuple(op.backward(list(grads), list(inputs), list(outputs), wanted))
    require(op, len(result) == len(inputs), f"backward gave {len(result)} gradients for {len(inputs)} inputs.")
    return result


def _check_untouched(op: Op, verb: str, what: str, before: Sequence[Array], after: Sequence[Array]) -> None:
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        require(op, np.array_equal(old, new, equal_nan=True), f"{verb} changed its {what} {i}.")


def _close(a: Any, b: Any) -> bool:
    """Equal but for the order of a sum."""
    eps = float(np.finfo(np.asarray(b).dtype).eps)
    return a is not None and np.allclose(a, b, rtol=100 * eps, atol=100 * eps, equal_nan=True)


def _listed(specs: Sequence[Spec]) -> str:
    return ", ".join(map(str, specs))
