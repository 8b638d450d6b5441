import itertools
import math

import numpy as np
import pytest
from tests.ops.caffe_vectors import available_backends, check_against_caffe

from mocha.errors import ShapeError
from mocha.graph import Graph, Section, build_program, derive_gradients
from mocha.ops import Abs, Multiply, ReduceMean, ReduceSum, ReduceSumOfSquares, Scale, Spec
from mocha.testing.cases.reduce import CASES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_loops(case):
    op, (x,) = case.op, case.arrays()
    gone = {a % x.ndim for a in op.axes} if op.axes else set(range(x.ndim))
    totals, counts = {}, {}
    for at in itertools.product(*map(range, x.shape)):
        key = tuple(0 if i in gone else a for i, a in enumerate(at))
        value = x[at] ** 2 if isinstance(op, ReduceSumOfSquares) else x[at]
        totals[key] = totals.get(key, 0.0) + value
        counts[key] = counts.get(key, 0) + 1
    shape = [1 if i in gone else n for i, n in enumerate(x.shape)]
    expected = np.zeros(shape)
    for key, total in totals.items():
        expected[key] = total / counts[key] if isinstance(op, ReduceMean) else total
    if not op.keep:
        expected = expected.reshape([n for i, n in enumerate(x.shape) if i not in gone])
    y = op.forward(x)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


def test_nothing_to_reduce():
    x = np.zeros((0, 3))
    assert ReduceSum().forward(x) == 0
    assert ReduceSumOfSquares().forward(x) == 0
    assert math.isnan(ReduceMean().forward(x))
    np.testing.assert_array_equal(ReduceSum((0,)).forward(x), np.zeros(3))
    assert np.isnan(ReduceMean((0,)).forward(x)).all()
    assert ReduceMean().backward([np.asarray(1.0)], [x], [], [True]).shape == (0, 3)


@pytest.mark.parametrize("kind", [ReduceSum, ReduceMean, ReduceSumOfSquares])
def test_shapes_and_types_that_do_not_fit(kind):
    with pytest.raises(ShapeError, match="axis 2 does not exist in an input of 2 axes"):
        kind((0, 2)).infer(Spec((2, 3), np.dtype(np.float32)))
    with pytest.raises(ShapeError, match="expected float32 or float64"):
        kind().infer(Spec((2, 3), np.dtype(np.int64)))


def test_work():
    x = Spec((2, 3), np.dtype(np.float32))
    assert ReduceSum().work([x], [ReduceSum().infer(x)]) == 6


# Caffe's reductions over all axes from one on, times a factor; a sum of magnitudes is the sum of what `Abs` gives.
CAFFE = [
    ("reduction_all", [ReduceSum()]),
    ("reduction_mean", [ReduceMean((1, 2, 3)), Scale(0.7)]),
    ("reduction_sumsq", [ReduceSumOfSquares((1, 2, 3)), Scale(0.7)]),
]


@pytest.mark.parametrize(("name", "steps"), CAFFE, ids=[name for name, _ in CAFFE])
def test_against_caffe(name, steps):
    def compose(g, x):
        for step in steps:
            x = g(step, x)
        return x

    check_against_caffe(name, compose, atol=2e-5)


def test_the_sum_of_magnitudes_is_a_composition():
    x, g = np.array([[1.0, -2.0], [0.0, -4.0]]), Graph()
    source, weight = g.input("x", Spec.of(x)), g.input("weight", Spec((2,), x.dtype))
    g.blobs["y"] = g(ReduceSum((1,)), g(Abs(), source))
    objective = {g(ReduceSum(), g(Multiply(), g.blobs["y"], weight)): 1.0}
    gradients = {"x": derive_gradients(g, objective, [source])[source]}
    for kind in available_backends():
        with kind() as backend:
            executable = backend.compile(build_program("p", g, gradients, keep=None))
            feeds = {"x": x, "weight": np.array([1.0, 10.0])}
            executable.run(Section.FORWARD, Section.BACKWARD, feeds=feeds)
            np.testing.assert_array_equal(executable.blob("y"), [3, 4])
            np.testing.assert_array_equal(executable.gradient("x"), [[1, -1], [0, -10]])
