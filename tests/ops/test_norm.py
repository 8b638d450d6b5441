from pathlib import Path

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import LRN, Spec
from mocha.testing.cases.norm import CASES

VECTORS = Path(__file__).parents[1] / "vectors"
SMOOTH = [case for case in CASES if case.checked is None]


def members(op, shape, place):
    """The elements in the window of an element."""
    n, c, i, j = place
    before = (op.size - 1) // 2
    reach = range(-before, op.size - before)
    steps = [(t, 0, 0) for t in reach] if op.across else [(0, s, t) for s in reach for t in reach]
    window = [(n, c + a, i + s, j + t) for a, s, t in steps]
    return [p for p in window if all(0 <= at < extent for at, extent in zip(p, shape, strict=True))]


@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_against_loops(case):
    op, (x,) = case.op, case.arrays()
    numbers = op.size if op.across else op.size**2
    dy = np.random.default_rng(0).standard_normal(x.shape)
    y, s = op.forward(x)
    dx = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        window = members(op, x.shape, place)
        total = op.k + op.alpha * sum(x[p] ** 2 for p in window) / numbers
        np.testing.assert_allclose(s[place], total, rtol=1e-13)
        np.testing.assert_allclose(y[place], x[place] / total**op.beta, rtol=1e-12)
        dx[place] += dy[place] / total**op.beta
        for p in window:
            dx[p] -= dy[place] * x[place] * op.beta * total ** (-op.beta - 1) * op.alpha * 2 * x[p] / numbers
    np.testing.assert_allclose(op.backward([dy], [x], [Spec.of(y), s], [True]), dx, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "op"), [("lrn_across", LRN(5, 0.3, 0.75)), ("lrn_within", LRN(3, 0.8, 0.75, across=False))]
)
def test_against_caffe(name, op, dtype):
    vector = np.load(VECTORS / f"{name}.npz")
    x, dy = vector["bottom/x"].astype(dtype), vector["top_diff/y"].astype(dtype)
    y, s = op.forward(x)
    dx = op.backward([dy], [x], [y, s], [True])
    assert y.dtype == dx.dtype == dtype
    np.testing.assert_allclose(y, vector["top/y"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(dx, vector["bottom_diff/x"], rtol=1e-5, atol=1e-6)


def test_the_window_of_an_even_size_reaches_further_behind():
    x = np.arange(1.0, 6).reshape(1, 5, 1, 1)
    _, s = LRN(4, alpha=4.0, k=0.0).forward(x)
    np.testing.assert_array_equal(s.ravel(), [1 + 4 + 9, 1 + 4 + 9 + 16, 4 + 9 + 16 + 25, 9 + 16 + 25, 16 + 25])


def test_the_mean_is_over_the_whole_window_at_the_border_too():
    _, s = LRN(3, across=False, k=0.0).forward(np.ones((1, 1, 3, 3)))
    np.testing.assert_allclose(9 * s[0, 0], [[4, 6, 4], [6, 9, 6], [4, 6, 4]])


def test_nan_spoils_the_windows_that_hold_it():
    x = np.ones((1, 7, 1, 1))
    x[0, 3] = np.nan
    y, _ = LRN(3).forward(x)
    np.testing.assert_array_equal(np.isnan(y.ravel()), [False, False, True, True, True, False, False])


def test_no_examples():
    for across in (True, False):
        y, s = LRN(3, across=across).forward(np.zeros((0, 3, 4, 4)))
        assert y.shape == s.shape == (0, 3, 4, 4)


@pytest.mark.parametrize(
    ("op", "spec", "words"),
    [
        (LRN(), Spec((4, 3), np.dtype(np.float32)), "LRN: the input is 4x3 float32; expected four axes"),
        (LRN(), Spec((4, 3, 2), np.dtype(np.float32)), "expected four axes"),
        (LRN(), Spec((4, 3, 2, 2), np.dtype(np.int32)), "expected float32 or float64"),
        (LRN(0), Spec((4, 3, 2, 2), np.dtype(np.float32)), "window is 0; expected it to be >= 1"),
        (LRN(4, across=False), Spec((4, 3, 2, 2), np.dtype(np.float32)), "window is 4; expected it to be odd"),
    ],
)
def test_what_does_not_fit(op, spec, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(spec)
