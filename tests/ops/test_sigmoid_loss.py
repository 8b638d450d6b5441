import math
from pathlib import Path

import numpy as np
import pytest

from mocha.errors import ConfigError, ShapeError
from mocha.ops import SigmoidCrossEntropyLoss, Spec

VECTORS = Path(__file__).parents[1] / "vectors"
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def slopes(op, x, t):
    return op.backward([np.ones((), x.dtype)], [x, t], [op.forward(x, t)], (True, False))[0]


@pytest.mark.parametrize("dtype", [F32, F64])
def test_against_caffe(dtype):
    vector = np.load(VECTORS / "sigmoidce.npz")
    x, t = vector["bottom/x"].astype(dtype), vector["bottom/t"].astype(dtype)
    loss, dx = SigmoidCrossEntropyLoss().forward(x, t), slopes(SigmoidCrossEntropyLoss(), x, t)
    assert loss.dtype == dx.dtype == dtype
    np.testing.assert_allclose(loss, vector["top/y"], rtol=1e-6)
    np.testing.assert_allclose(dx, vector["bottom_diff/x"], rtol=1e-5, atol=1e-7)


def test_against_the_formula():
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((3, 4)), rng.uniform(-1, 2, (3, 4))
    s = 1 / (1 + np.exp(-x))
    total = -np.sum(t * np.log(s) + (1 - t) * np.log(1 - s))
    assert SigmoidCrossEntropyLoss(2.0).forward(x, t) == pytest.approx(2 * total / 3, rel=1e-12)
    np.testing.assert_allclose(slopes(SigmoidCrossEntropyLoss(2.0), x, t), 2 * (s - t) / 3, rtol=1e-12)


def test_large_scores():
    x, t = np.array([[1e30, -1e30, 1e30]], np.float32), np.array([[1, 0, 0]], np.float32)
    assert SigmoidCrossEntropyLoss().forward(x, t) == np.float32(1e30)
    np.testing.assert_array_equal(slopes(SigmoidCrossEntropyLoss(), x, t), [[0, 0, 1]])


@pytest.mark.parametrize(("divisor", "number"), [("positions", 6), ("counted", 4), ("examples", 2), ("one", 1)])
def test_what_is_ignored_and_divided_by(divisor, number):
    op = SigmoidCrossEntropyLoss(ignore=0, divisor=divisor)
    x, t = np.zeros((2, 3)), np.array([[1, 0.9, 1], [-0.9, -1, 2]])
    assert op.forward(x, t) == pytest.approx(4 * math.log(2) / number)
    expected = np.array([[-0.5, 0, -0.5], [0, 1.5, -1.5]]) / number
    np.testing.assert_allclose(slopes(op, x, t), expected)
    assert op.forward(np.zeros((0, 3)), np.zeros((0, 3))) == 0


def test_an_ignored_score_may_be_anything():
    op = SigmoidCrossEntropyLoss(ignore=-1, divisor="counted")
    x, t = np.array([[math.nan, math.inf, 0.0]]), np.array([[-1, -1.5, 1]])
    assert op.forward(x, t) == pytest.approx(math.log(2))
    np.testing.assert_array_equal(slopes(op, x, t), [[0, 0, -0.5]])


@pytest.mark.parametrize(
    ("op", "x", "t", "kind", "words"),
    [
        (SigmoidCrossEntropyLoss(), Spec((4, 3), F32), Spec((3, 4), F32), ShapeError, "same examples, size and type"),
        (SigmoidCrossEntropyLoss(), Spec((4, 3), F32), Spec((4, 3), F64), ShapeError, "same examples, size and type"),
        (SigmoidCrossEntropyLoss(), Spec((), F32), Spec((), F32), ShapeError, "same examples, size and type"),
        (SigmoidCrossEntropyLoss(divisor="all"), Spec((4, 3), F32), Spec((4, 3), F32), ConfigError, "is 'all'"),
    ],
)
def test_what_does_not_fit(op, x, t, kind, words):
    with pytest.raises(kind, match=words):
        op.infer(x, t)
