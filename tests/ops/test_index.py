import numpy as np
import pytest

from mocha.errors import FormatError, ShapeError
from mocha.ops import Argmax, OneHot, Spec

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


def test_shapes():
    assert Argmax(-1).infer(Spec((2, 3), F)) == Spec((2, 1), F)
    assert OneHot(4).infer(Spec((2, 1, 3), F)) == Spec((2, 4, 3), F)
    with pytest.raises(ShapeError, match="at least one"):
        Argmax().infer(Spec((2, 0), F))
    with pytest.raises(ShapeError, match="expected 1, one class number"):
        OneHot(4).infer(Spec((2, 2), F))
    with pytest.raises(ShapeError, match="expected float32 or float64"):
        OneHot(4).infer(Spec((2, 1), np.dtype(np.int32)))
