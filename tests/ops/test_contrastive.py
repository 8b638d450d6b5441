import math
from pathlib import Path

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import ContrastiveLoss, Spec

VECTORS = Path(__file__).parents[1] / "vectors"
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def slopes(op, a, b, y):
    return op.backward([np.ones((), a.dtype)], [a, b, y], op.forward(a, b, y), (True, True, False))[:2]


@pytest.mark.parametrize("dtype", [F32, F64])
def test_against_caffe(dtype):
    vector, op = np.load(VECTORS / "contrastive.npz"), ContrastiveLoss(1.5)
    a, b, y = (vector[f"bottom/{name}"].astype(dtype) for name in "abs")
    loss, square = op.forward(a, b, y)
    assert loss.dtype == square.dtype == dtype
    np.testing.assert_allclose(loss, vector["top/y"], rtol=1e-6)
    da, db = slopes(op, a, b, y)
    np.testing.assert_allclose(da, vector["bottom_diff/a"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(db, vector["bottom_diff/b"], rtol=1e-5, atol=1e-7)


def test_by_hand():
    a, b = np.array([[3.0, 4.0], [3, 4], [0, 1]]), np.zeros((3, 2))
    op = ContrastiveLoss(7.0, weight=6)
    loss, square = op.forward(a, b, np.array([1, 0, 0]))
    np.testing.assert_array_equal(square, [25, 25, 1])
    assert loss == 25 + 2.0**2 + 6.0**2
    da, db = slopes(op, a, b, np.array([1, 0, 0]))
    np.testing.assert_allclose(da, 2 * np.array([[3, 4], [-6 / 5.0001, -8 / 5.0001], [0, -6 / 1.0001]]))
    np.testing.assert_array_equal(db, -da)
    legacy = ContrastiveLoss(7.0, legacy=True, weight=6)
    assert legacy.forward(a, b, np.array([1, 0, 0]))[0] == 25 + 0 + 6
    np.testing.assert_allclose(slopes(legacy, a, b, np.array([1, 0, 0]))[0], 2 * np.array([[3, 4], [0, 0], [0, -1]]))


def test_labels_lose_their_fraction():
    a, b = np.full((4, 1), 5.0), np.zeros((4, 1))
    for label, similar in ((0.9, False), (-0.9, False), (1.0, True), (-1.0, True), (7.5, True)):
        assert ContrastiveLoss().forward(a, b, np.full(4, label))[0] == (12.5 if similar else 0), label


def test_equal_vectors_have_no_direction():
    a = np.ones((2, 3), np.float32)
    op = ContrastiveLoss(1.0)
    assert op.forward(a, a, np.zeros(2))[0] == 0.5
    for slope in slopes(op, a, a, np.zeros(2)):
        np.testing.assert_array_equal(slope, np.zeros((2, 3)))


def test_nan():
    a = np.array([[math.nan], [math.nan]])
    for y, passes in ((0, False), (1, True)):
        loss, _ = ContrastiveLoss().forward(a, np.zeros((2, 1)), np.full(2, y))
        assert math.isnan(loss)
        assert np.isnan(slopes(ContrastiveLoss(), a, np.zeros((2, 1)), np.full(2, y))[0]).all() == passes


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([(4, 3), (4, 2), (4,)], "expected equal shapes"),
        ([(4, 3), (4, 3), (3,)], "expected one label a pair"),
        ([(), (), ()], "expected one label a pair"),
    ],
)
def test_what_does_not_fit(specs, words):
    with pytest.raises(ShapeError, match=words):
        ContrastiveLoss().infer(*(Spec(shape, F32) for shape in specs))
