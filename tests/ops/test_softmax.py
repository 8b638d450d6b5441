import math

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import Softmax, Spec
from mocha.testing.cases.softmax import CASES


@pytest.mark.parametrize("case", [case for case in CASES if case.checked is None], ids=str)
def test_against_the_formula(case):
    (x,) = case.arrays()
    axis = case.op.axis
    y = case.op.forward(x)
    for slice_in, slice_out in zip(
        np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis]),
        np.moveaxis(y, axis, -1).reshape(-1, x.shape[axis]),
        strict=True,
    ):
        total = sum(math.exp(v) for v in slice_in)
        np.testing.assert_allclose(slice_out, [math.exp(v) / total for v in slice_in], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_scores(dtype):
    x = np.array([[1e4, -1e4, 0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]], dtype)
    expected = [[1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3]
    np.testing.assert_allclose(Softmax().forward(x), expected, rtol=1e-6)


def test_minus_infinity_is_a_class_that_cannot_be():
    y = Softmax().forward(np.array([[-math.inf, 0.0, 0.0]]))
    np.testing.assert_array_equal(y, [[0, 0.5, 0.5]])


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_infinity_and_nan_spoil_their_slice_only(bad):
    y = Softmax().forward(np.array([[bad, 0.0], [0.0, 0.0]]))
    assert np.isnan(y[0]).all()
    np.testing.assert_array_equal(y[1], [0.5, 0.5])


def test_no_examples():
    assert Softmax().forward(np.zeros((0, 4))).shape == (0, 4)


def test_no_such_axis():
    with pytest.raises(ShapeError, match="Softmax: axis 1 does not exist in an input of 1 axes"):
        Softmax().infer(Spec((4,), np.dtype(np.float32)))
