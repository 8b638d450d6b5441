import math

import numpy as np
import pytest
from tests.ops.caffe_vectors import check_against_caffe

from mocha.errors import ShapeError
from mocha.ops import Maximum, Spec

F = np.dtype(np.float32)
NAN = math.nan


def test_ties():
    a, b, c = np.array([1.0, 2, 2, 0]), np.array([1.0, 1, 2, 0]), np.array([0.0, 2, 2, 1])
    y, winner = Maximum().forward(a, b, c)
    np.testing.assert_array_equal(y, [1, 2, 2, 1])
    np.testing.assert_array_equal(winner, [1, 0, 1, 2])
    assert winner.dtype == np.uint8


def test_nan_as_comparisons_have_it():
    a, b, c = np.array([NAN, 1, 1, NAN]), np.array([0.0, NAN, 0, 0]), np.array([5.0, 5, NAN, -1])
    y, winner = Maximum().forward(a, b, c)
    np.testing.assert_array_equal(y, [5, NAN, 1, 0])
    np.testing.assert_array_equal(winner, [2, 1, 0, 1])


def test_the_gradient_goes_to_the_winner_alone():
    winner, dy = np.array([1, 0, 2], np.uint8), np.array([1.0, 2, NAN])
    da, db, dc = Maximum().backward([dy], [None] * 3, [None, winner], (True, False, True))
    np.testing.assert_array_equal(da, [0, 2, 0])
    assert db is None
    np.testing.assert_array_equal(dc, [0, 0, NAN])


def test_one_input_is_copied():
    x = np.ones(3)
    y, _ = Maximum().forward(x)
    assert not np.shares_memory(x, y)


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([], "received 0 inputs; expected 1 to 256"),
        ([Spec((), F)] * 257, "received 257 inputs"),
        ([Spec((2,), F), Spec((3,), F)], "input 2 is 3 float32, but input 1 is 2 float32"),
        ([Spec((2,), np.dtype(np.int64))], "expected float32 or float64"),
    ],
)
def test_inputs_that_do_not_fit(specs, words):
    with pytest.raises(ShapeError, match=words):
        Maximum().infer(*specs)


def test_against_caffe():
    check_against_caffe("eltwise_max", lambda g, *x: g.apply(Maximum(), *x)[0])
