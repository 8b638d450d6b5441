import math

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import GroundMetric, Spec, WassersteinLoss

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
LINE = np.array([[abs(i - j) for j in range(3)] for i in range(4)], float)
RNG = np.random.default_rng(3)
A = RNG.dirichlet(np.ones(4), 5)
B = RNG.dirichlet(np.ones(3), 5)


def sinkhorn(a, b, metric, sharpness, iterations):
    """One example by loops: the plan and u."""
    rows, columns = len(metric), len(metric[0])
    k = [[math.exp(-sharpness * metric[i][j]) for j in range(columns)] for i in range(rows)]
    u = [1 / rows] * rows

    def other_side():
        return [b[j] / sum(k[i][j] * u[i] for i in range(rows)) for j in range(columns)]

    for _ in range(iterations):
        v = other_side()
        u = [a[i] / sum(k[i][j] * v[j] for j in range(columns)) for i in range(rows)]
    v = other_side()
    return np.array([[u[i] * k[i][j] * v[j] for j in range(columns)] for i in range(rows)]), np.array(u)


@pytest.mark.parametrize(("sharpness", "iterations"), [(1.0, 1), (4.0, 50), (10.0, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_loops(sharpness, iterations, dtype):
    op = WassersteinLoss(GroundMetric.of(LINE), sharpness, iterations)
    a, b = A.astype(dtype), B.astype(dtype)
    outputs = op.forward(a.reshape(5, 2, 2), b)
    plans = [sinkhorn(x, y, LINE, sharpness, iterations) for x, y in zip(A, B, strict=True)]
    exact = 1e-5 if dtype is np.float32 else 1e-11
    assert outputs[0] == pytest.approx(sum(np.sum(t * LINE) for t, _ in plans) / 5, rel=exact)
    da, none = op.backward([np.asarray(2.0, dtype)], [a.reshape(5, 2, 2), b], outputs, (True, False))
    expected = [2 * np.log(u) / (sharpness * 5) for _, u in plans]
    np.testing.assert_allclose(da, np.reshape(expected, (5, 2, 2)), rtol=10 * exact, atol=exact)
    assert none is None
    assert list(op.differentiable(2)) == [0]


def test_the_plan_is_near_the_optimal_transport():
    # from a point onto a point there is but one plan
    op = WassersteinLoss(GroundMetric.of(LINE), 5.0)
    loss, _ = op.forward(np.eye(4)[[0, 3, 2]], np.eye(3)[[2, 1, 2]])
    assert loss == pytest.approx((2 + 2 + 0) / 3)
    # on a line the cost is the sum of the distances of the cumulated distributions
    square = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
    exact = np.abs(np.cumsum(A[0]) - np.cumsum(A[1])).sum()
    loss, _ = WassersteinLoss(GroundMetric.of(square), 60.0, 2000).forward(A[:1], A[1:2])
    assert loss == pytest.approx(exact, rel=0.02)


def test_the_gradient_is_that_of_the_regularised_cost():
    """Where Sinkhorn's iteration has come to its end, along directions that keep the sum of the prediction."""
    sharpness, a, b = 3.0, A[0], B[0]

    def regularised(x):
        plan, _ = sinkhorn(x, b, LINE, sharpness, 400)
        return np.sum(plan * LINE) + np.sum(plan * (np.log(plan) - 1)) / sharpness

    op = WassersteinLoss(GroundMetric.of(LINE), sharpness, 400)
    outputs = op.forward(a[None], b[None])
    (da,), _ = op.backward([np.asarray(1.0)], [a[None], b[None]], outputs, (True, False))
    reported = []
    for to in range(1, 4):
        move = 1e-6 * (np.eye(4)[to] - np.eye(4)[0])
        slope = (regularised(a + move) - regularised(a - move)) / 2e-6
        assert da[to] - da[0] == pytest.approx(slope, rel=1e-5)
        forward = [float(op.forward((a + sign * move)[None], b[None])[0]) for sign in (1, -1)]
        reported.append((forward[0] - forward[1]) / 2e-6)
    assert not np.allclose(reported, da[1:] - da[0], rtol=0.01)  # what is reported has another derivative


def test_a_bin_without_mass_has_a_finite_potential():
    op = WassersteinLoss(GroundMetric.of(LINE), 2.0)
    loss, potential = op.forward(np.array([[0.0, 0.5, 0.5, 0]]), B[:1])
    assert np.isfinite(loss)
    np.testing.assert_allclose(potential[0, [0, 3]], math.log(1e-20) / 2)


def test_no_examples():
    op = WassersteinLoss(GroundMetric.of(LINE), 2.0)
    loss, potential = op.forward(np.zeros((0, 4)), np.zeros((0, 3)))
    assert (loss, potential.shape) == (0, (0, 4))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Spec((5, 3), F32), Spec((5, 3), F32)),
        (Spec((5, 4), F32), Spec((5, 4), F32)),
        (Spec((5, 4), F32), Spec((4, 3), F32)),
        (Spec((5, 4), F32), Spec((5, 3), F64)),
        (Spec((), F32), Spec((), F32)),
    ],
)
def test_shapes_that_do_not_fit(a, b):
    with pytest.raises(ShapeError, match="metric of 4x3; expected as many examples of 4 and of 3 numbers"):
        WassersteinLoss(GroundMetric.of(LINE), 2.0).infer(a, b)
