import math

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import ClipByNorm, GlobalNorm, L1Decay, L2Decay, L2NormConstraint, NesterovStep, SgdStep, Spec

RNG = np.random.default_rng(0)
G, W, V = RNG.standard_normal((3, 4, 5))
F32 = np.dtype(np.float32)


def num(value):
    return np.asarray(value, np.float64)


def test_global_norm():
    parts = [np.array([3.0], np.float32), np.array([[0.0, 4.0]], np.float32), np.array([12.0])]
    norm = GlobalNorm().forward(*parts)
    assert norm == 13
    assert norm.dtype == np.float64
    assert math.isnan(GlobalNorm().forward(np.array([math.nan])))
    assert GlobalNorm().forward(np.array([math.inf])) == math.inf
    # the squares of these overflow in float32
    assert GlobalNorm().forward(np.full(4, 1e30, np.float32)) == pytest.approx(2e30)


def test_clip():
    np.testing.assert_allclose(ClipByNorm(2.0).forward(G, num(8.0)), G / 4)
    for norm in (0.0, 1.9, 2.0):
        np.testing.assert_array_equal(ClipByNorm(2.0).forward(G, num(norm)), G)


def test_decay():
    np.testing.assert_allclose(L2Decay(0.1).forward(G, W), G + 0.2 * W)
    np.testing.assert_allclose(L1Decay(0.1).forward(G, np.sign(W)), G + 0.1 * np.sign(W))
    np.testing.assert_array_equal(L1Decay(0.1).forward(G, np.zeros_like(W)), G)


def test_sgd():
    w, v = SgdStep(2.0).forward(G, W, V, num(0.01), num(0.9))
    for at in np.ndindex(W.shape):
        step = 0.9 * V[at] - 2.0 * 0.01 * G[at]
        assert v[at] == pytest.approx(step)
        assert w[at] == pytest.approx(W[at] + step)


def test_nesterov():
    w, v = NesterovStep(2.0).forward(G, W, V, num(0.01), num(0.9), num(0.95))
    for at in np.ndindex(W.shape):
        step = 0.9 * V[at] - 2.0 * 0.01 * G[at]
        assert v[at] == pytest.approx(step)
        assert w[at] == pytest.approx(W[at] - 0.9 * V[at] + 1.95 * step)


def test_nesterov_is_momentum_seen_from_the_point_ahead():
    """With u = w - m v (the point itself), u' = u + v' where v' = m v - rate grad(w)."""
    rate, m, w, v = 0.1, 0.8, np.array([2.0]), np.array([0.0])
    u, speed = w.copy(), v.copy()
    for _ in range(5):
        speed = m * speed - rate * 3 * (u + m * speed)  # the objective is 1.5 x^2
        u = u + speed
        w, v = NesterovStep().forward(3 * w, w, v, num(rate), num(m), num(m))
        np.testing.assert_allclose(w - m * v, u)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_stay_in_the_parameters_type(dtype):
    g, w, v = (a.astype(dtype) for a in (G, W, V))
    for result in (
        SgdStep().forward(g, w, v, num(0.1), num(0.9)),
        NesterovStep().forward(g, w, v, num(0.1), num(0.9), num(0.9)),
        (L2Decay(0.1).forward(g, w), L1Decay(0.1).forward(g, w), ClipByNorm(1.0).forward(g, num(3))),
        (L2NormConstraint(0.5).forward(w, num(0)),),
    ):
        assert {a.dtype for a in result} == {np.dtype(dtype)}


def test_constraint_bounds_each_row():
    w = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [0.0, -2.0]])
    bound = L2NormConstraint(1.0).forward(w, num(0))
    np.testing.assert_allclose(bound, [[0.6, 0.8], [0.3, 0.4], [0, 0], [0, -1]])
    filters = RNG.standard_normal((4, 3, 2, 2))
    bound = L2NormConstraint(1.5).forward(filters, num(0))
    for before, after in zip(filters, bound, strict=True):
        norm = math.sqrt((before**2).sum())
        np.testing.assert_allclose(after, before * min(1, 1.5 / norm))


def test_constraint_takes_one_axis_as_one_row():
    np.testing.assert_allclose(L2NormConstraint(1.0).forward(np.array([3.0, 4.0]), num(0)), [0.6, 0.8])


def test_constraint_acts_every_so_often():
    w = np.array([[3.0, 4.0]])
    acted = [bool((L2NormConstraint(1.0, 3).forward(w, num(i)) != w).any()) for i in range(7)]
    assert acted == [True, False, False, True, False, False, True]


@pytest.mark.parametrize(
    ("op", "shapes", "words"),
    [
        (ClipByNorm(1.0), [(2,), (2,)], "expected a scalar"),
        (L2Decay(0.1), [(2,), (3,)], "input 2 is 3 float32, but input 1 is 2 float32"),
        (SgdStep(), [(2,), (2,), (3,), (), ()], "input 3 is 3 float32"),
        (NesterovStep(), [(2,), (3,), (2,), (), (), ()], "input 2"),
    ],
)
def test_shapes_that_do_not_fit(op, shapes, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(*(Spec(shape, F32) for shape in shapes))
    with pytest.raises(ShapeError, match="expected float32 or float64"):
        GlobalNorm().infer(Spec((2,), np.dtype(np.int32)))
