from pathlib import Path

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import Convolution, Spec, Unfold
from mocha.testing.cases.unfold import CASES

VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_loops(case):
    op, (x,) = case.op, case.arrays()
    y = op.forward(x)
    expected = np.zeros_like(y)
    taps = list(np.ndindex(op.kernel))
    for n, k, *out in np.ndindex(y.shape):
        tap = taps[k % len(taps)]
        at = [o * s - p + t * d for o, s, p, t, d in zip(out, op.stride, op.pad, tap, op.dilation, strict=True)]
        if all(0 <= a < size for a, size in zip(at, x.shape[2:], strict=True)):
            expected[(n, k, *out)] = x[(n, k // len(taps), *at)]
    np.testing.assert_array_equal(y, expected)


def test_an_inner_product_along_the_channels_is_a_convolution():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 2, 3))
    moves = (2, 1), (1, 0), (1, 2)
    y = np.einsum("kc,nchw->nkhw", w.reshape(4, -1), Unfold((2, 3), *moves).forward(x))
    np.testing.assert_allclose(y, Convolution(*moves).forward(x, w))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_caffe(dtype):
    vector = np.load(VECTORS / "im2col.npz")
    op, x = Unfold((3, 3), (2, 2), (1, 1)), vector["bottom/x"].astype(dtype)
    y = op.forward(x)
    np.testing.assert_array_equal(y, vector["top/y"])
    dx = op.backward([vector["top_diff/y"].astype(dtype)], [x], [y], [True])
    np.testing.assert_allclose(dx, vector["bottom_diff/x"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "words"),
    [((2, 3, 4), "expected 4 axes"), ((2, 3, 4, 2), "window of 3 .* does not fit into 2"), ((3, 3), "expected 4 axes")],
)
def test_shapes_that_do_not_fit(shape, words):
    with pytest.raises(ShapeError, match=words):
        Unfold((3, 3)).infer(Spec(shape, np.dtype(np.float32)))


def test_geometry_of_different_ranks_is_refused():
    with pytest.raises(ShapeError, match="one number an axis"):
        Unfold((3,))
