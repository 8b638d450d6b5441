"""Gradients against central differences in float64: the first witness of every op.

``python -m mocha.testing.gradients`` prints the worst relative error of each op over the catalogue of cases.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np

from mocha.graph.listing import table
from mocha.ops import Array, Op
from mocha.ops.base import as_tuple
from mocha.testing.case import Case
from mocha.testing.cases import CASES
from mocha.testing.promises import check_promises, output_gradients

EPS = 3e-5
"""Half the step of a difference. Its own error is about EPS^2 = 1e-9 by curvature and 1e-11 by rounding."""

FLOOR = 1e-3
"""A gradient smaller than this is held against it: the error of a difference does not shrink with the gradient."""

TOLERANCE = 1e-6
"""The largest relative error that passes. A wrong formula is off by far more, a difference by far less."""

LIMIT = 400
"""Of an input with more elements, so many are checked."""


def check_op(
    op: Op,
    *inputs: Array,
    checked: Iterable[int] | None = None,
    eps: float = EPS,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> float:
    """Check an op: its promises (see `check_promises`) and its gradients (see `check_op_gradients`).

    Args:
        op: the op.
        inputs: arrays that fit it, floating-point ones as float64, further than `eps` away from kinks.
        checked: the inputs whose gradients are checked; all differentiable ones, unless told.
        eps: half the step of the differences.
        seed: of the weights of the outputs.
        tolerance: the largest relative error that passes.

    Returns:
        the worst relative error.

    Raises:
        AssertionError: the message names the op, and the input, the element and both gradients if it is about these.
    """
    check_promises(op, *inputs, seed=seed)
    return check_op_gradients(op, *inputs, checked=checked, eps=eps, seed=seed, tolerance=tolerance)


def check_op_gradients(
    op: Op,
    *inputs: Array,
    checked: Iterable[int] | None = None,
    eps: float = EPS,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> float:
    """Hold `backward` against central differences of sum_k <r_k, y_k>, with random weights r_k for each output y_k.

    The relative error of analytic a and numeric n is ``|a - n| / max(|a|, |n|, FLOOR)``. Arguments, result and errors
    are those of `check_op`.
    """
    can = op.differentiable(len(inputs))
    asked = list(can) if checked is None else [i for i in checked if i in can]
    if not asked:
        return 0.0
    worst = 0.0
    with np.errstate(all="ignore"):
        outputs = as_tuple(op.forward(*inputs))
        weights = output_gradients(op, outputs, seed)
        wanted = [i in asked for i in range(len(inputs))]
        analytic = as_tuple(op.backward(weights, inputs, outputs, wanted))
        for i in asked:
            flat = np.asarray(analytic[i]).reshape(-1)
            for element in _chosen(flat.size, seed):
                numeric = _difference(op, inputs, weights, i, element, eps)
                gradient = float(flat[element])
                error = abs(gradient - numeric) / max(abs(gradient), abs(numeric), FLOOR)
                if not error <= tolerance:
                    place = tuple(map(int, np.unravel_index(element, inputs[i].shape)))
                    raise AssertionError(
                        f"{op}: the gradient of input {i} at {place} is {gradient:.9g}, by differences {numeric:.9g}: "
                        f"relative error {error:.2g}, expected at most {tolerance:.2g}."
                    )
                worst = max(worst, error)
    return worst


def _chosen(size: int, seed: int) -> Sequence[int]:
    """All elements, or some if there are many."""
    if size <= LIMIT:
        return range(size)
    some: list[int] = np.random.default_rng([seed, 2]).choice(size, LIMIT, replace=False).tolist()
    return some


def _difference(
    op: Op, inputs: Sequence[Array], weights: Sequence[Array], index: int, element: int, eps: float
) -> float:
    """The central difference along one element. Outputs are subtracted before they are summed: that rounds less."""
    results = []
    for step in (eps, -eps):
        moved = np.array(inputs[index])
        moved.reshape(-1)[element] += step
        results.append(as_tuple(op.forward(*inputs[:index], moved, *inputs[index + 1 :])))
    pairs = zip(weights, *results, strict=False)
    return float(sum(np.sum(r * (plus - minus)) for r, plus, minus in pairs)) / (2 * eps)


def worst_errors(cases: Iterable[Case] = CASES) -> dict[str, tuple[int, float]]:
    """Name of an op -> how many cases were checked against differences, and the worst relative error of them.

    Raises:
        AssertionError: a promise is broken. An error that is too large raises nothing.
    """
    rows: dict[str, tuple[int, float]] = {}
    for case in cases:
        arrays = case.arrays()
        if not case.op.differentiable(len(arrays)):
            continue
        error = check_op(case.op, *arrays, checked=case.checked, tolerance=np.inf)
        count, worst = rows.get(case.op.name, (0, 0.0))
        compared = case.checked is None or len(case.checked) > 0
        rows[case.op.name] = count + compared, max(worst, error)
    return rows


def main() -> int:
    """Print the table of the worst relative errors.

    Returns:
        0, or 1 if one is above the tolerance.
    """
    rows = worst_errors()
    cells = [(op, str(count), f"{error:.1e}") for op, (count, error) in rows.items()]
    print(table(("op", "cases", "worst error"), cells, right=(1, 2)))
    worst = max(error for _, error in rows.values())
    print(f"\nworst of all: {worst:.1e} (at most {TOLERANCE:.0e} passes)")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
