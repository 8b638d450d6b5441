import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import ResizeBilinear, Spec, UpsampleNearest
from mocha.testing.cases.resize import CASES

BILINEAR = [case for case in CASES if isinstance(case.op, ResizeBilinear)]
NEAREST = [case for case in CASES if isinstance(case.op, UpsampleNearest)]


def between(size, out, i):
    """The two cells that place i of an axis lies between, and its distance from the first."""
    at = i * (size - 1) / (out - 1) if out > 1 else 0.0
    low = min(int(at + 1e-9), size - 1)
    return low, min(low + 1, size - 1), max(at - low, 0.0)


@pytest.mark.parametrize("case", BILINEAR, ids=str)
def test_bilinear_against_loops(case):
    op, (x,) = case.op, case.arrays()
    with np.errstate(all="ignore"):
        y = op.forward(x)
    for n, c, i, j in np.ndindex(y.shape):
        top, bottom, down = between(x.shape[2], op.height, i)
        left, right, across = between(x.shape[3], op.width, j)
        image = x[n, c]
        with np.errstate(all="ignore"):
            above = (1 - across) * image[top, left] + across * image[top, right]
            below = (1 - across) * image[bottom, left] + across * image[bottom, right]
            expected = (1 - down) * above + down * below
        np.testing.assert_allclose(y[n, c, i, j], expected, rtol=1e-12, atol=1e-12)


def test_the_corners_stay():
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    np.testing.assert_allclose(
        ResizeBilinear(3, 4).forward(x)[0, 0],
        [[1, 4 / 3, 5 / 3, 2], [2, 7 / 3, 8 / 3, 3], [3, 10 / 3, 11 / 3, 4]],
    )


def test_a_single_place_is_the_first():
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    assert ResizeBilinear(1, 1).forward(x).item() == 0
    np.testing.assert_array_equal(ResizeBilinear(2, 1).forward(x).ravel(), [0, 8])


def test_every_second_pixel():
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 7))
    np.testing.assert_array_equal(ResizeBilinear(3, 4).forward(x), x[:, :, ::2, ::2])


def test_each_result_gives_its_whole_gradient():
    op, x = ResizeBilinear(5, 9), np.zeros((2, 3, 4, 2))
    dx = op.backward([np.ones((2, 3, 5, 9))], [Spec.of(x)], [], [True])
    np.testing.assert_allclose(dx.sum(axis=(2, 3)), 45)


@pytest.mark.parametrize("case", NEAREST, ids=str)
def test_nearest_against_loops(case):
    op, (x,) = case.op, case.arrays()
    y = op.forward(x)
    dy = np.random.default_rng(0).standard_normal(y.shape)
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(y.shape):
        np.testing.assert_equal(y[n, c, i, j], x[n, c, i // op.scale_h, j // op.scale_w])
        dx[n, c, i // op.scale_h, j // op.scale_w] += dy[n, c, i, j]
    np.testing.assert_allclose(op.backward([dy], [Spec.of(x)], [], [True]), dx, atol=1e-12)


@pytest.mark.parametrize(
    ("op", "shape", "words"),
    [
        (ResizeBilinear(3, 3), (2, 4, 4), "the input is 2x4x4 float32; expected images"),
        (ResizeBilinear(3, 3), (2, 4, 0, 4), "at least one pixel"),
        (ResizeBilinear(0, 3), (2, 4, 4, 4), "sizes and scales of at least 1"),
        (UpsampleNearest(2, 2), (4, 4), "expected images"),
        (UpsampleNearest(2, 0), (1, 1, 4, 4), "sizes and scales of at least 1"),
    ],
)
def test_shapes_that_do_not_fit(op, shape, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(Spec(shape, np.dtype(np.float32)))
