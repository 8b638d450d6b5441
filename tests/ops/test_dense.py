import itertools
import math

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import InnerProduct, Spec, TransposedInnerProduct
from mocha.testing.cases.dense import CASES


@pytest.mark.parametrize("case", [c for c in CASES if isinstance(c.op, InnerProduct)], ids=str)
def test_against_loops(case):
    x, w = case.arrays()
    y = case.op.forward(x, w)
    count = math.prod(y.shape[:-1])
    rows, found = x.reshape(count, w.shape[1]), y.reshape(count, w.shape[0])
    for n, k in itertools.product(range(count), range(len(w))):
        assert found[n, k] == pytest.approx(sum(rows[n, d] * w[k, d] for d in range(w.shape[1])), abs=1e-12)


def test_no_examples():
    op, x, w = InnerProduct(), np.zeros((0, 4)), np.ones((3, 4))
    y = op.forward(x, w)
    assert y.shape == op.infer(Spec.of(x), Spec.of(w)).shape == (0, 3)
    dx, dw = op.backward([y], [x, w], [], (True, True))
    assert dx.shape == (0, 4)
    np.testing.assert_array_equal(dw, np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("x", "w", "axis", "words"),
    [
        ((2, 3, 4), (5, 3), 1, r"12 features from axis 1 on, but the weight is 5x3 float32; expected \(outputs, 12\)"),
        ((2, 3, 4), (5, 12, 1), 1, "the weight is 5x12x1"),
        ((2, 3, 4), (5, 12), 2, "4 features from axis 2 on"),
        ((2, 3), (5, 3), 3, "axis 3 does not exist"),
    ],
)
def test_shapes_that_do_not_fit(x, w, axis, words):
    f = np.dtype(np.float32)
    with pytest.raises(ShapeError, match=words):
        InnerProduct(axis).infer(Spec(x, f), Spec(w, f))


def test_types_that_do_not_fit():
    with pytest.raises(ShapeError, match="of float64"):
        InnerProduct().infer(Spec((1, 3), np.dtype(np.float64)), Spec((2, 3), np.dtype(np.float32)))


def test_the_transposed_product_by_hand():
    op, x, w = TransposedInnerProduct(), np.array([[[1.0], [2.0]]]), np.array([[1.0, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(op.forward(x, w), [[9, 12, 15]])
    dx, dw = op.backward([np.array([[1.0, 0, 2]])], [x, w], [None], (True, True))
    np.testing.assert_array_equal(dx, [[[7], [16]]])
    np.testing.assert_array_equal(dw, [[1, 0, 2], [2, 0, 4]])
    with pytest.raises(ShapeError, match=r"has 2 features, but the weight is 3x2 float64; expected \(2, outputs\)"):
        op.infer(Spec.of(x), Spec.of(w.T.copy()))
