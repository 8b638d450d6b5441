from pathlib import Path

import numpy as np
import pytest

from mocha.backends import NumpyBackend
from mocha.errors import ShapeError
from mocha.graph import Graph, Kind, Section, build_program
from mocha.ops import BatchNormTest, BatchNormTrain, Fill, MovingAverage, ScaleChannels, Spec
from mocha.testing.cases.batch_norm import CASES

VECTORS = Path(__file__).parents[1] / "vectors"
F32 = np.dtype(np.float32)


def cases(kind):
    return [case for case in CASES if isinstance(case.op, kind) and case.checked is None]


def channels(x, axis=1):
    """The elements of each channel, as rows."""
    return np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)


@pytest.mark.parametrize("case", cases(BatchNormTrain), ids=str)
def test_training_against_the_formula(case):
    op, (x,) = case.op, case.arrays()
    dy = np.random.default_rng(0).standard_normal(x.shape)
    y, mean, var = op.forward(x)
    dx = op.backward([dy], [Spec.of(x)], [y, Spec.of(mean), var], [True])
    for c, (values, given) in enumerate(zip(channels(x), channels(dy), strict=True)):
        deviation = np.sqrt(np.var(values) + op.eps)
        normal = (values - np.mean(values)) / deviation
        np.testing.assert_allclose([mean[c], var[c]], [np.mean(values), np.var(values)], rtol=1e-11)
        np.testing.assert_allclose(channels(y)[c], normal, rtol=1e-11, atol=1e-12)
        slope = given - np.mean(given) - normal * np.mean(given * normal)
        np.testing.assert_allclose(channels(dx)[c], slope / deviation, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", cases(BatchNormTest), ids=str)
def test_testing_against_the_formula(case):
    op, (x, mean, var) = case.op, case.arrays()
    dy = np.random.default_rng(0).standard_normal(x.shape)
    y = op.forward(x, mean, var)
    dx, *rest = op.backward([dy], [Spec.of(x), Spec.of(mean), var], [Spec.of(y)], [True, False, False])
    assert rest == [None, None]
    for c, values in enumerate(channels(x)):
        deviation = np.sqrt(var[c] + op.eps)
        np.testing.assert_allclose(channels(y)[c], (values - mean[c]) / deviation, rtol=1e-12)
        np.testing.assert_allclose(channels(dx)[c], channels(dy)[c] / deviation, rtol=1e-12)


@pytest.mark.parametrize("case", cases(ScaleChannels), ids=str)
def test_scale_against_the_formula(case):
    op, (x, s) = case.op, case.arrays()
    dy = np.random.default_rng(0).standard_normal(x.shape)
    y, (dx, ds) = op.forward(x, s), op.backward([dy], [x, s], [], [True, True])
    np.testing.assert_array_equal(channels(y, op.axis), channels(x, op.axis) * s[:, None])
    np.testing.assert_array_equal(channels(dx, op.axis), channels(dy, op.axis) * s[:, None])
    np.testing.assert_allclose(ds, (channels(dy, op.axis) * channels(x, op.axis)).sum(axis=1), rtol=1e-11)


def test_training_against_caffe():
    vector = np.load(VECTORS / "bn_train_2d.npz")
    op, x = BatchNormTrain(1e-3), vector["bottom/x"]
    y, mean, var = op.forward(x)
    np.testing.assert_allclose(y, vector["top/y"], rtol=1e-5, atol=1e-6)
    dx = op.backward([vector["top_diff/y"]], [x], [y, mean, var], [True])
    np.testing.assert_allclose(dx, vector["bottom_diff/x"], rtol=1e-4, atol=1e-5)
    # Caffe keeps sums: of the means, of the variances corrected by M / (M - 1), and of ones
    m = len(x)
    for i, (new, factor) in enumerate([(mean, 1.0), (var, m / (m - 1)), (np.ones(1, np.float32), 1.0)]):
        after = MovingAverage(0.999, factor).forward(vector[f"param/{i}"], new)
        np.testing.assert_allclose(after, vector[f"param_after/{i}"], rtol=1e-5, atol=1e-6)


def test_testing_against_caffe():
    vector = np.load(VECTORS / "bn_test.npz")
    mean, var, count = (vector[f"param/{i}"] for i in range(3))
    y = BatchNormTest().forward(vector["bottom/x"], mean / count, var / count)
    np.testing.assert_allclose(y, vector["top/y"], rtol=1e-5, atol=1e-6)


def test_float32_statistics_are_summed_in_float64():
    x = np.full((100_000, 1), 0.1, np.float32)
    y, mean, var = BatchNormTrain().forward(x)
    assert mean.dtype == var.dtype == np.float32
    assert mean[0] == np.float32(0.1)
    assert var[0] == 0
    assert not y.any()


def test_statistics_are_kept_from_run_to_run():
    g = Graph()
    x = g.input("x", Spec((4, 3), F32))
    sums, ones = g.state("sum of means", Spec((3,), F32)), g.state("ones", Spec((1,), F32))
    y, mean, _ = g.apply(BatchNormTrain(), x)
    g(MovingAverage(0.5), sums, mean)
    g(MovingAverage(0.5), ones, g(Fill((1,), "float32", 1.0)))
    g.blobs["y"] = y
    assert len(g.sources(Kind.STATE)) == 2
    batches = np.random.default_rng(0).standard_normal((3, 4, 3)).astype(np.float32) + 2
    with NumpyBackend() as backend:
        for value in (sums, ones):
            backend.store.allocate(value.name, np.zeros(value.shape, value.dtype))
        executable = backend.compile(build_program("p", g, {}, keep=["y"]))
        for batch in batches:
            executable.run(Section.FORWARD, feeds={"x": batch})
        np.testing.assert_allclose(backend.store.read("ones"), [1.75])
        expected = sum(w * batch.mean(axis=0) for w, batch in zip((0.25, 0.5, 1.0), batches, strict=True))
        np.testing.assert_allclose(backend.store.read("sum of means"), expected, rtol=1e-6)


def test_no_examples():
    y, mean, var = BatchNormTrain().forward(np.zeros((0, 3, 2, 2)))
    assert y.shape == (0, 3, 2, 2)
    assert np.isnan([mean, var]).all()


@pytest.mark.parametrize(
    ("op", "shapes", "words"),
    [
        (BatchNormTrain(), [(4,)], "axis 1 does not exist"),
        (BatchNormTest(), [(4, 3), (4,), (3,)], "the mean is 4 float32; expected 3 float32 for an input of 4x3"),
        (BatchNormTest(), [(4, 3), (3,), (1, 3)], "the variance is 1x3 float32; expected 3 float32"),
        (MovingAverage(0.9), [(3,), (4,)], "the new value is 4 float32; expected 3 float32"),
        (ScaleChannels(), [(4, 3, 2), (2,)], "the scale is 2 float32; expected 3 float32"),
        (ScaleChannels(2), [(4, 3), (3,)], "axis 2 does not exist"),
    ],
)
def test_shapes_that_do_not_fit(op, shapes, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(*(Spec(shape, F32) for shape in shapes))


@pytest.mark.parametrize("op", [BatchNormTrain(), ScaleChannels()])
def test_types_that_do_not_fit(op):
    with pytest.raises(ShapeError, match="expected float32 or float64"):
        op.infer(Spec((4, 3), np.dtype(np.int32)), *[Spec((3,), np.dtype(np.int32))] * isinstance(op, ScaleChannels))
