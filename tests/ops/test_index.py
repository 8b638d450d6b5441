import numpy as np
import pytest
from tests.ops.caffe_vectors import check_against_caffe

from mocha.errors import FormatError, ShapeError
from mocha.ops import Argmax, Concat, OneHot, Reshape, Spec, TopK

F = np.dtype(np.float32)


def test_argmax_by_hand():
    nan = np.nan
    x = np.array([[1, 3, 3], [nan, 9, nan], [2, nan, 9], [-np.inf] * 3])
    np.testing.assert_array_equal(Argmax().forward(x), [[1], [0], [1], [0]])
    assert tuple(Argmax().differentiable(1)) == ()


def test_one_hot_by_hand():
    x = np.array([[[1.0], [0.0]]])
    np.testing.assert_array_equal(OneHot(3, axis=2).forward(x), [[[0, 1, 0], [1, 0, 0]]])
    with pytest.raises(FormatError, match=r"label 1 of the batch is 3.0; expected a whole number from 0 to 2"):
        OneHot(3, axis=2).forward(x * [[[1], [9]]] + [[[0], [3]]])


def test_top_k_by_hand():
    x = np.array([[1.0, 3, 3, 2], [np.nan, 5, np.nan, -np.inf]])
    y, places = TopK(3).forward(x)
    np.testing.assert_array_equal(y, [[3, 3, 2], [np.nan, np.nan, 5]])
    np.testing.assert_array_equal(places, [[2, 1, 3], [2, 0, 1]])
    dx = TopK(3).backward([np.array([[1.0, 2, 3], [4, 5, 6]])], [Spec.of(x)], [None, places], [True])
    np.testing.assert_array_equal(dx, [[0, 2, 1, 3], [5, 6, 4, 0]])


def _places(g, x):
    """(N, 1, k) of places alone."""
    return g(Reshape((4, 1, 1)), g.apply(TopK(1), x)[1])


def _places_and_values(g, x):
    """(N, 2, k): places, then values."""
    values, places = g.apply(TopK(3), x)
    return g(Concat(1), g(Reshape((4, 1, 3)), places), g(Reshape((4, 1, 3)), values))


@pytest.mark.parametrize(("name", "compose"), [("argmax", _places), ("argmax_val_k", _places_and_values)])
def test_top_k_against_caffe(name, compose):
    check_against_caffe(name, compose, rtol=0, atol=0)


def test_shapes():
    assert Argmax(-1).infer(Spec((2, 3), F)) == Spec((2, 1), F)
    assert OneHot(4).infer(Spec((2, 1, 3), F)) == Spec((2, 4, 3), F)
    with pytest.raises(ShapeError, match="at least one"):
        Argmax().infer(Spec((2, 0), F))
    with pytest.raises(ShapeError, match="expected 1, one class number"):
        OneHot(4).infer(Spec((2, 2), F))
    with pytest.raises(ShapeError, match="expected float32 or float64"):
        OneHot(4).infer(Spec((2, 1), np.dtype(np.int32)))
    for k in (0, 4):
        with pytest.raises(ShapeError, match=f"k is {k} for axis 1 of 2x3 float32; expected 1 to 3"):
            TopK(k).infer(Spec((2, 3), F))


@pytest.mark.parametrize("op", [Argmax(), TopK()])
def test_places_that_the_type_does_not_hold(op):
    op.infer(Spec((1, 2**24 + 1), F))
    op.infer(Spec((1, 2**24 + 2), np.dtype(np.float64)))
    with pytest.raises(ShapeError, match=r"too long for places in float32; expected at most 16777217 elements"):
        op.infer(Spec((1, 2**24 + 2), F))
