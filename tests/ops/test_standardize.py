import numpy as np
import pytest
from tests.ops.caffe_vectors import available_backends, check_against_caffe

from mocha.errors import ShapeError
from mocha.graph import Graph, Section, build_program
from mocha.ops import L2Normalize, Reshape, Spec, Standardize

F = np.dtype(np.float32)


def test_rows_by_hand():
    x = np.array([[1.0, 3.0], [2.0, 2.0]])
    y, divisors = Standardize(eps=1.0).forward(x)
    np.testing.assert_array_equal(y, [[-0.5, 0.5], [0, 0]])
    np.testing.assert_array_equal(divisors, [2, 1])
    y, divisors = Standardize(scaled=False).forward(x)
    np.testing.assert_array_equal(y, [[-1, 1], [0, 0]])
    np.testing.assert_array_equal(divisors, [1, 1])


def test_the_gradient_is_finite_for_equal_numbers():
    x, dy = np.ones((1, 2)), np.array([[1.0, 3.0]])
    y, divisors = Standardize(eps=0.5).forward(x)
    dx = Standardize(eps=0.5).backward([dy], [Spec.of(x)], [y, divisors], [True])
    np.testing.assert_array_equal(dx, [[-2, 2]])


def test_lengths_by_hand():
    x = np.array([[[3.0, 0.0], [4.0, 0.0]]])
    y, lengths = L2Normalize(eps=0.0).forward(x)
    np.testing.assert_array_equal(lengths, [[[5, 0]]])
    np.testing.assert_array_equal(y[..., 0], [[0.6, 0.8]])
    assert np.isnan(y[..., 1]).all()
    y, lengths = L2Normalize(eps=4.0).forward(x)
    np.testing.assert_array_equal(y[..., 1], [[0, 0]])
    np.testing.assert_array_equal(lengths[..., 1], [[2]])


def test_the_length_of_a_whole_example():
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 2)).astype(np.float32)
    for kind in available_backends():
        with kind() as backend:
            g = Graph()
            flat = g(Reshape((2, 12)), g.input("x", Spec.of(x)))
            g.blobs["y"] = g(Reshape(x.shape), g(L2Normalize(), flat))
            executable = backend.compile(build_program("p", g, {}, keep=None, channels_last=backend.channels_last))
            executable.run(Section.FORWARD, feeds={"x": x})
            expected = x / np.sqrt((x**2).sum(axis=(1, 2, 3), keepdims=True))
            np.testing.assert_allclose(executable.blob("y"), expected, rtol=1e-6)


def test_shapes():
    x = Spec((2, 3, 4, 5), F)
    assert Standardize(2).infer(x) == (x, Spec((2, 3), F))
    assert L2Normalize().infer(x) == (x, Spec((2, 1, 4, 5), F))
    for op in (Standardize(4), L2Normalize(4)):
        with pytest.raises(ShapeError, match="axis 4 does not exist"):
            op.infer(x)
        with pytest.raises(ShapeError, match="expected float32 or float64"):
            op.infer(Spec((2, 3), np.dtype(np.int32)))


@pytest.mark.parametrize(("name", "scaled"), [("mvn", True), ("mvn_mean_only", False)])
def test_against_caffe(name, scaled):
    check_against_caffe(name, lambda g, x: g.apply(Standardize(2, scaled=scaled), x)[0])
