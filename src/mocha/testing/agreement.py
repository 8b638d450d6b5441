"""Every backend against the reference: the same case run on both, compared number by number."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mocha.backends import AbstractBackend, NumpyBackend
from mocha.graph import Graph, Program, Section, Value, build_program, derive_gradients
from mocha.ops import Array, Chain, Multiply, Op, ReduceSum, Scale, Spec
from mocha.testing.case import Case, is_number
from mocha.testing.promises import output_gradients

SLACK = 100
"""How many units of the type's rounding two answers may differ by: sums of some hundred terms in another order."""


@dataclasses.dataclass(frozen=True)
class _Setting:
    """A case as a program with what it needs to run."""

    program: Program
    feeds: dict[str, Array]
    stored: dict[str, Array]
    scalars: dict[str, float]


def check_agreement(
    case: Case,
    backend: AbstractBackend,
    dtype: npt.DTypeLike,
    *,
    reuse: bool = False,
    seed: int = 0,
    tolerance: float | None = None,
) -> float:
    """Run a case on a backend and on the reference: outputs, updated parameters and states, gradients.

    The error of one element is relative to the larger of the two numbers, but at least to the root of the mean square
    of the reference's array, so that a number that happens to cancel to almost 0 is held to its neighbours' measure.
    Whole numbers, infinities and NaN must be the same.

    Args:
        case: the case.
        backend: what is checked. Its store is left as it was.
        dtype: float32 or float64.
        reuse: run as under a solver: inputs are computed values, so that ops may overwrite them, and memory is reused.
            Otherwise as by hand: everything is kept.
        seed: of the inputs.
        tolerance: the largest error that passes; `SLACK` times the type's machine epsilon, unless told.

    Returns:
        the worst relative error.

    Raises:
        AssertionError: the message names the case, the output or gradient, the element and both numbers.
    """
    with NumpyBackend() as reference:
        expected = _run(_setting(case, case.arrays(seed, dtype), reuse, seed, reference), reference)
    found = _run(_setting(case, case.arrays(seed, dtype), reuse, seed, backend), backend)
    limit = SLACK * float(np.finfo(np.dtype(dtype)).eps) if tolerance is None else tolerance
    return max((_compare(f"{case.id}, {what}", found[what], expected[what], limit) for what in expected), default=0.0)


def _setting(case: Case, arrays: tuple[Array, ...], reuse: bool, seed: int, backend: AbstractBackend) -> _Setting:
    """The graph of one op, and of its gradients if it has any, under the objective sum_k <r_k, y_k>."""
    op, g = case.op, Graph()
    updated = {into for _, into in op.updates}
    feeds: dict[str, Array] = {}
    stored: dict[str, Array] = {}
    scalars: dict[str, float] = {}
    sources: dict[str, Value] = {}
    values = []
    for i, array in enumerate(arrays):
        name = f"agreement/input {i}"
        spec = Spec.of(array)
        if i in updated or i in case.parameters:
            sources[name] = g.parameter(name, spec)
            stored[name] = array
        elif is_number(op, i, arrays):
            sources[name] = g.scalar(name)
            scalars[name] = float(array)
        else:
            sources[name] = g.input(name, spec)
            feeds[name] = array
        computed = reuse and name in feeds and array.dtype.kind == "f"
        values.append(g(Scale(1.0), sources[name]) if computed else sources[name])
    with g.within("op", Section.UPDATE if updated else Section.FORWARD):
        outputs = _applied(g, op, values)
    in_store = {out for out, _ in op.updates}
    g.blobs.update({f"output {k}": value for k, value in enumerate(outputs) if k not in in_store})
    gradients = _objective(case, g, outputs, sources, feeds, seed)
    keep = {*g.blobs, *gradients} if reuse else None
    program = build_program("agreement", g, gradients, keep=keep, **backend.wishes)
    return _Setting(program, feeds, stored, scalars)


def _applied(g: Graph, op: Op, values: list[Value]) -> tuple[Value, ...]:
    """The op in the graph; a chain step by step, as layers write it: it has gradients then, and is joined again."""
    outputs: tuple[Value, ...] = ()
    for step, own in _steps(op, len(values)):
        outputs = g.apply(step, *outputs[: bool(own.start)], *values[own])
    return outputs


def _steps(op: Op, inputs: int) -> Iterator[tuple[Op, slice]]:
    """The op with its inputs; or the steps of a chain, each with its own inputs, without what is handed on."""
    if not isinstance(op, Chain) or op.updates:
        yield op, slice(inputs)
        return
    start = 0
    for step, count in zip(op.steps, op.counts, strict=True):
        stop = start + count - bool(start)
        yield step, slice(start, stop)
        start = stop


def _differentiable(op: Op, inputs: int) -> set[int]:
    """The inputs that have gradients."""
    able = set()
    for step, own in _steps(op, inputs):
        handed_on = bool(own.start)
        count = len(range(inputs)[own]) + handed_on
        able |= {(own.start or 0) + i - handed_on for i in step.differentiable(count) if i >= handed_on}
    return able


def _objective(
    case: Case, g: Graph, outputs: tuple[Value, ...], sources: dict[str, Value], feeds: dict[str, Array], seed: int
) -> dict[str, Value]:
    """Add the objective and its gradients to the graph: name of an input -> its gradient."""
    can = _differentiable(case.op, len(sources))
    if not can:
        return {}
    objective = {}
    weights = output_gradients(case.op, [np.empty(v.shape, v.dtype) for v in outputs], seed)
    for k, weight in enumerate(weights):
        name = f"agreement/weight {k}"
        feeds[name] = weight
        objective[g(ReduceSum(), g(Multiply(), outputs[k], g.input(name, Spec.of(weight))))] = 1.0
    wrt = {name: value for i, (name, value) in enumerate(sources.items()) if i in can}
    found = derive_gradients(g, objective, wrt.values())
    return {name: found[value] for name, value in wrt.items() if value in found}


def _run(setting: _Setting, backend: AbstractBackend) -> dict[str, Array]:
    """All that can be read after one run of all sections."""
    program = setting.program
    for key, array in setting.stored.items():
        backend.store.allocate(key, array)
    executable = backend.compile(program)
    try:
        executable.block.set(setting.scalars)
        executable.run(*Section, feeds=setting.feeds)
        results = {f"blob {name!r}": executable.blob(name) for name in program.blobs}
        results.update({f"gradient of {name!r}": executable.gradient(name) for name in program.gradients})
        results.update({f"stored {key!r}": backend.store.read(key) for key in setting.stored})
        return results
    finally:
        executable.close()
        for key in setting.stored:
            backend.store.free(key)


def _compare(what: str, found: Array, expected: Array, limit: float) -> float:
    """The worst relative error of two arrays.

    Raises:
        AssertionError: shapes or types differ, or the error is above the limit.
    """
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise AssertionError(f"{what}: received {Spec.of(found)}; the reference gives {Spec.of(expected)}.")
    a, b = found.astype(np.float64).reshape(-1), expected.astype(np.float64).reshape(-1)
    finite = np.isfinite(b)
    with np.errstate(all="ignore"):
        typical = float(np.sqrt(np.mean(b[finite] ** 2))) if finite.any() else 0.0
        scale = np.maximum(np.maximum(np.abs(a), np.abs(b)), typical)
        errors = np.where(a == b, 0.0, np.abs(a - b) / scale)
    errors[np.isnan(a) & np.isnan(b)] = 0.0
    errors[np.isnan(errors)] = np.inf
    if expected.dtype.kind != "f":
        errors[a != b] = np.inf
    worst = float(errors.max(initial=0.0))
    if worst > limit:
        element = int(errors.argmax())
        place = tuple(map(int, np.unravel_index(element, expected.shape)))
        raise AssertionError(
            f"{what} at {place}: received {a[element]:.9g}; the reference gives {b[element]:.9g}: relative error "
            f"{worst:.2g}, expected at most {limit:.2g}."
        )
    return worst
