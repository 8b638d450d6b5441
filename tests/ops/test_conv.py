import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import Convolution, Deconvolution, Spec
from mocha.testing.cases.conv import CASES

VECTORS = Path(__file__).parents[1] / "vectors"


def naive(op, x, w):
    """The sum written out: for each example, filter, position, channel and tap."""
    rank = len(op.stride)
    per_group = w.shape[0] // op.groups
    out = tuple(
        (n + 2 * p - (d * (k - 1) + 1)) // s + 1
        for n, p, d, k, s in zip(x.shape[2:], op.pad, op.dilation, w.shape[2:], op.stride, strict=True)
    )
    y = np.zeros((x.shape[0], w.shape[0], *out))
    for n, k in itertools.product(range(x.shape[0]), range(w.shape[0])):
        first = (k // per_group) * w.shape[1]
        for place in itertools.product(*map(range, out)):
            for c in range(w.shape[1]):
                for tap in itertools.product(*map(range, w.shape[2:])):
                    at = [place[i] * op.stride[i] + tap[i] * op.dilation[i] - op.pad[i] for i in range(rank)]
                    if all(0 <= a < size for a, size in zip(at, x.shape[2:], strict=True)):
                        y[(n, k, *place)] += w[(k, c, *tap)] * x[(n, first + c, *at)]
    return y


@pytest.mark.parametrize("case", [case for case in CASES if isinstance(case.op, Convolution)], ids=str)
def test_against_loops(case):
    x, w = case.arrays()
    np.testing.assert_allclose(case.op.forward(x, w), naive(case.op, x, w), rtol=1e-12, atol=1e-12)


def test_the_filter_is_not_flipped():
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 1
    w = np.arange(9.0).reshape(1, 1, 3, 3)
    y = Convolution(pad=(1, 1)).forward(x, w)
    np.testing.assert_array_equal(y[0, 0], w[0, 0, ::-1, ::-1])


def test_cells_that_a_stride_leaves_over_get_no_gradient():
    op, x, w = Convolution(stride=(2, 2)), np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))
    dx, _ = op.backward([np.ones((1, 1, 1, 1))], [x, w], [], (True, True))
    assert dx[0, 0, 3].sum() == dx[0, 0, :, 3].sum() == 0
    assert dx.sum() == 9


def test_no_examples():
    op, x, w = Convolution(pad=(1, 1)), np.zeros((0, 3, 4, 4)), np.ones((2, 3, 3, 3))
    y = op.forward(x, w)
    assert y.shape == op.infer(Spec.of(x), Spec.of(w)).shape == (0, 2, 4, 4)
    dx, dw = op.backward([y], [x, w], [], (True, True))
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dw, np.zeros_like(w))


def test_work():
    x, w = Spec((2, 4, 5, 5), np.dtype(np.float32)), Spec((6, 2, 3, 3), np.dtype(np.float32))
    op = Convolution(groups=2)
    assert op.work([x, w], [op.infer(x, w)]) == 2 * (2 * 6 * 3 * 3) * (2 * 3 * 3)


@pytest.mark.parametrize(
    ("op", "x", "w", "words"),
    [
        (Convolution(), (2, 3, 4), (4, 3, 3, 3), "expected 4 axes"),
        (Convolution(), (2, 3, 4, 4), (4, 3, 3), "filter is 4x3x3"),
        (Convolution(), (2, 3, 4, 4), (4, 2, 3, 3), "3 channels, 4 filters of 2 channels and 1 groups"),
        (Convolution(groups=2), (2, 3, 4, 4), (4, 1, 3, 3), "groups must divide both"),
        (Convolution(groups=3), (2, 3, 4, 4), (4, 1, 3, 3), "groups must divide both"),
        (Convolution(), (2, 3, 4, 4), (4, 3, 5, 3), "window of 5 (kernel 5, dilation 1) does not fit into 4 + 2 x 0"),
        (Convolution(dilation=(2, 2)), (2, 3, 4, 4), (4, 3, 3, 3), "window of 5 (kernel 3, dilation 2)"),
    ],
)
def test_shapes_that_do_not_fit(op, x, w, words):
    f = np.dtype(np.float32)
    with pytest.raises(ShapeError, match=re.escape(words)):
        op.infer(Spec(x, f), Spec(w, f))


def test_types_that_do_not_fit():
    with pytest.raises(ShapeError, match="expected float32 or float64"):
        Convolution().infer(Spec((1, 1, 3, 3), np.dtype(np.int32)), Spec((1, 1, 3, 3), np.dtype(np.int32)))
    with pytest.raises(ShapeError, match="of float32"):
        Convolution().infer(Spec((1, 1, 3, 3), np.dtype(np.float32)), Spec((1, 1, 3, 3), np.dtype(np.float64)))


# -- the adjoint


def scattered(op, x, w):
    """The sum written out: each input adds its filter to the output, which is then cut."""
    rank = len(op.stride)
    per_group = x.shape[1] // op.groups
    extents = op.adjoint.extent(w.shape[2:])
    whole = [s * (n - 1) + e for n, s, e in zip(x.shape[2:], op.stride, extents, strict=True)]
    y = np.zeros((x.shape[0], w.shape[1] * op.groups, *whole))
    for place in np.ndindex(x.shape):
        n, c, *at = place
        for k in range(w.shape[1]):
            for tap in np.ndindex(w.shape[2:]):
                to = tuple(at[i] * op.stride[i] + tap[i] * op.dilation[i] for i in range(rank))
                y[(n, c // per_group * w.shape[1] + k, *to)] += x[place] * w[(c, k, *tap)]
    return y[(..., *(slice(p, n - p) for p, n in zip(op.pad, whole, strict=True)))]


@pytest.mark.parametrize("case", [case for case in CASES if isinstance(case.op, Deconvolution)], ids=str)
def test_adjoint_against_loops(case):
    x, w = case.arrays()
    np.testing.assert_allclose(case.op.forward(x, w), scattered(case.op, x, w), rtol=1e-12, atol=1e-12)


def test_a_pixel_becomes_its_filter():
    w = np.arange(12.0).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(Deconvolution().forward(np.full((1, 1, 1, 1), 2.0), w), 2 * w)


def test_it_is_the_adjoint():
    rng = np.random.default_rng(0)
    op, w = Deconvolution((2, 3), (1, 0), (1, 2), 2), rng.standard_normal((4, 3, 3, 2))
    x = rng.standard_normal((2, 4, 5, 3))
    y = op.forward(x, w)
    z = rng.standard_normal(y.shape)
    assert np.sum(y * z) == pytest.approx(np.sum(x * Convolution((2, 3), (1, 0), (1, 2), 2).forward(z, w)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("conv_1d", Convolution((2,), (1,), (1,))),
        ("deconv_basic", Deconvolution()),
        ("deconv_rect_dilated", Deconvolution((2, 1), dilation=(2, 2))),
    ],
)
def test_against_caffe(name, op, dtype):
    vector = np.load(VECTORS / f"{name}.npz")
    x, w, b = (vector[key].astype(dtype) for key in ("bottom/x", "param/0", "param/1"))
    dy = vector["top_diff/y"].astype(dtype)
    y = op.forward(x, w)
    np.testing.assert_allclose(y + b.reshape(-1, *[1] * (y.ndim - 2)), vector["top/y"], rtol=1e-5, atol=1e-6)
    dx, dw = op.backward([dy], [x, w], [], (True, True))
    np.testing.assert_allclose(dx, vector["bottom_diff/x"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dw, vector["param_diff/0"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("op", "x", "w", "words"),
    [
        (Deconvolution(), (1, 3, 4), (3, 2, 3), "expected 4 axes"),
        (Deconvolution(), (1, 3, 4, 4), (3, 2, 3), "filter is 3x2x3 float32; expected 4 axes"),
        (Deconvolution(), (1, 3, 4, 4), (2, 3, 3, 3), "first axis counts these"),
        (Deconvolution(groups=2), (1, 3, 4, 4), (3, 2, 3, 3), "2 groups do not fit"),
        (Deconvolution(pad=(1, 2)), (1, 3, 2, 2), (3, 2, 3, 3), r"1 x \(2 - 1\) \+ 3 - 2 x 2 padding = 0 long"),
        (Deconvolution(), (1, 3, 0, 2), (3, 2, 3, 3), "an axis of 0"),
    ],
)
def test_adjoints_that_do_not_fit(op, x, w, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(Spec(x, np.dtype(np.float32)), Spec(w, np.dtype(np.float32)))
