import itertools
import re

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import Convolution, Spec
from mocha.testing.cases.conv import CASES


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


@pytest.mark.parametrize("case", CASES, ids=str)
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
