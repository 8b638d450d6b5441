import math

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import Spec, StochasticPooling, StochasticPoolingMean
from mocha.random import words
from mocha.testing.cases.stochastic_pool import CASES

DRAWN = [case for case in CASES if isinstance(case.op, StochasticPooling)]
MEANS = [case for case in CASES if isinstance(case.op, StochasticPoolingMean)]
SEED, COUNTER = np.asarray(12345678.0), np.asarray(3.0)


def walk(op, x):
    """Each window: its place, and for each tap inside the image its number and cell."""
    g = op.windows(x.shape)
    lead = x.shape[: x.ndim - len(op.kernel)]
    for place in np.ndindex(g.shaped(x.shape)):
        inside = []
        for number, tap in enumerate(np.ndindex(op.kernel)):
            cell = tuple(i * s + t for i, s, t in zip(place[len(lead) :], op.stride, tap, strict=True))
            if all(c < n for c, n in zip(cell, g.size, strict=True)):
                inside.append((number, (*place[: len(lead)], *cell)))
        yield place, inside


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", DRAWN, ids=str)
def test_drawing_against_loops(case, dtype):
    x, seed, counter = case.arrays(dtype=dtype)
    with np.errstate(all="ignore"):
        y, winner = case.op.forward(x, seed, counter)
    drawn = words(int(seed), case.op.stream, int(counter), y.size).reshape(y.shape)
    for place, inside in walk(case.op, x):
        if not inside:
            assert y[place] == 0
            continue
        with np.errstate(all="ignore"):
            sums = np.cumsum([x[cell] for _, cell in inside], dtype=dtype)
            limit = dtype((int(drawn[place]) + 1) / 2**32) * sums[-1]
        number, cell = inside[np.argmax(sums >= limit) if (sums >= limit).any() else -1]
        np.testing.assert_equal(y[place], x[cell])
        assert winner[place] == number


@pytest.mark.parametrize("case", MEANS, ids=str)
def test_means_against_loops(case):
    (x,) = case.arrays()
    with np.errstate(all="ignore"):
        y, total = case.op.forward(x)
    for place, inside in walk(case.op, x):
        values = np.array([x[cell] for _, cell in inside])
        with np.errstate(all="ignore"):
            expected = 0.0 if values.sum() <= 0 else (values**2).sum() / values.sum()
        np.testing.assert_allclose(y[place], expected, rtol=1e-12)
        np.testing.assert_allclose(total[place], values.sum(), rtol=1e-12, atol=1e-15)


def test_elements_are_drawn_as_often_as_they_are_large():
    x = np.tile(np.array([[1.0, 0.0], [3.0, 4.0]]), (1, 100, 20, 20))
    y, _ = StochasticPooling((2, 2), (2, 2)).forward(x, SEED, COUNTER)
    for value, share in ((1, 1 / 8), (0, 0), (3, 3 / 8), (4, 1 / 2)):
        assert np.mean(y == value) == pytest.approx(share, abs=0.01)
    mean, _ = StochasticPoolingMean((2, 2), (2, 2)).forward(x)
    np.testing.assert_allclose(mean, 26 / 8)
    assert y.mean() == pytest.approx(26 / 8, rel=0.01)


def test_another_count_draws_anew():
    x = np.random.default_rng(0).random((2, 3, 8, 8))
    op = StochasticPooling((2, 2), (2, 2))
    first, again, other = (op.forward(x, SEED, np.asarray(count))[1] for count in (1.0, 1.0, 2.0))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_gradient_goes_to_what_was_taken():
    op, x = StochasticPooling((2, 2), (1, 1)), np.random.default_rng(0).random((2, 3, 4, 5))
    y, winner = op.forward(x, SEED, COUNTER)
    dy = np.random.default_rng(1).random(y.shape)
    dx, *others = op.backward([dy], [Spec.of(x)], [Spec.of(y), winner], [True, False, False])
    expected = np.zeros_like(x)
    for place, inside in walk(op, x):
        expected[dict(inside)[winner[place]]] += dy[place]
    np.testing.assert_allclose(dx, expected)
    assert others == [None, None]


def test_zeros_and_nan():
    x = np.array([[[[0.0, 0.0, math.nan], [0.0, 0.0, 1.0]]]])
    y, winner = StochasticPooling((2, 2)).forward(x, SEED, COUNTER)
    np.testing.assert_array_equal(y[0, 0], [[0, 1]])
    np.testing.assert_array_equal(winner[0, 0], [[0, 3]])
    mean, _ = StochasticPoolingMean((2, 2)).forward(x)
    np.testing.assert_array_equal(mean[0, 0], [[0, math.nan]])


F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def test_what_does_not_fit():
    with pytest.raises(ShapeError, match="expected two scalars"):
        StochasticPooling((2, 2)).infer(Spec((1, 1, 4, 4), F32), Spec((2,), F64), Spec((), F64))
    with pytest.raises(ShapeError, match="window of 5 with padding 0 on an axis of 4"):
        StochasticPoolingMean((5, 5)).infer(Spec((1, 1, 4, 4), F32))
    with pytest.raises(ShapeError, match="one number an axis"):
        StochasticPooling((2, 2), (1,))
