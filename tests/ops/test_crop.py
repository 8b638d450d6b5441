import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import Crop, Spec

F = np.dtype(np.float32)
X = np.arange(24.0).reshape(2, 1, 3, 4)


def test_the_middle_by_hand():
    y, places = Crop(2, 2).forward(X)
    np.testing.assert_array_equal(y[0, 0], [[1, 2], [5, 6]])
    np.testing.assert_array_equal(places, [[0, 1, 0], [0, 1, 0]])
    assert places.dtype == np.int32


def test_a_mirrored_window_and_its_gradient():
    places = np.array([[1, 2, 1], [0, 0, 0]], np.int32)
    dy = np.array([[[[1.0, 2]]], [[[3, 4]]]])
    op = Crop(1, 2, random_mirror=True)
    dx, *none = op.backward([dy], [Spec.of(X), None, None], [Spec.of(dy), places], (True, False, False))
    np.testing.assert_array_equal(dx[0, 0], [[0, 0, 0, 0], [0, 0, 2, 1], [0, 0, 0, 0]])
    np.testing.assert_array_equal(dx[1, 0], [[3, 4, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert none == [None, None]


def test_inputs_that_do_not_fit():
    x, scalar = Spec((2, 1, 3, 4), F), Spec((), np.dtype(np.float64))
    assert Crop(2, 2, random_crop=True).infer(x, scalar, scalar) == (
        Spec((2, 1, 2, 2), F),
        Spec((2, 3), np.dtype("i4")),
    )
    with pytest.raises(ShapeError, match="expected seed and counter, two scalars"):
        Crop(2, 2, random_crop=True).infer(x)
    with pytest.raises(ShapeError, match="expected none, for nothing is random"):
        Crop(2, 2).infer(x, scalar, scalar)
