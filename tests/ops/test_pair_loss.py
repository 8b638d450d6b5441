import math

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import (
    BinaryAccuracy,
    BinaryCrossEntropyLoss,
    GaussianKLLoss,
    HingeLoss,
    SoftlabelSoftmaxLoss,
    Spec,
)

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
PAIRS = [BinaryCrossEntropyLoss, HingeLoss, GaussianKLLoss]


def test_by_hand():
    loss = BinaryCrossEntropyLoss(2.0).forward(np.array([[0.25, 0.5]]), np.array([1.0, 0.0]).reshape(1, 2, 1))
    assert loss == pytest.approx(2 * (math.log(4) + math.log(2)))
    assert HingeLoss(3.0).forward(np.array([[2.0], [0.5], [-1.0]]), np.array([[1.0], [1.0], [1.0]])) == 3 * 2.5 / 3
    found = GaussianKLLoss().forward(np.array([[1.0], [0.0]]), np.array([[1.0], [math.e]]))
    assert found == pytest.approx((1 + math.e**2 - 3) / 4)
    loss, p = SoftlabelSoftmaxLoss(weight=2.0).forward(np.zeros((1, 4)), np.array([[1.0, 0, 0.5, 0]]))
    assert loss == pytest.approx(2 * 1.5 * math.log(4))
    np.testing.assert_array_equal(p, [[0.25] * 4])
    assert BinaryAccuracy().forward(np.array([0.0, 1.0, math.nan, -0.0]), np.array([0, 1, 1, 1])) == 0.5


@pytest.mark.parametrize("kind", PAIRS)
def test_no_examples(kind):
    a, op = np.zeros((0, 3)), kind()
    assert op.forward(a, a) == 0
    assert [g.shape for g in op.backward([np.asarray(1.0)], [a, a], [], (True, True))] == [(0, 3)] * 2


def test_no_examples_of_soft_labels_and_measures():
    x = np.zeros((0, 3))
    loss, p = SoftlabelSoftmaxLoss().forward(x, x)
    assert (loss, p.shape) == (0, (0, 3))
    assert SoftlabelSoftmaxLoss().backward([np.asarray(1.0)], [x, x], [loss, p], (True, False))[0].shape == (0, 3)
    assert BinaryAccuracy().forward(x, x) == 0


@pytest.mark.parametrize("kind", PAIRS)
def test_sums_are_in_double(kind):
    n = 200_000
    a, b = np.full((n, 1), 0.1, np.float32), np.full((n, 1), 0.1, np.float32)
    found = kind().forward(a, b)
    assert found.dtype == F32
    assert found == pytest.approx(float(kind().forward(a[:1], b[:1])), rel=1e-6)


@pytest.mark.parametrize(
    ("op", "a", "b", "words"),
    [
        *((kind(), Spec((4, 3), F32), Spec((3, 4), F32), "same examples, size and type") for kind in PAIRS),
        *((kind(), Spec((4, 3), F32), Spec((4, 3), F64), "same examples, size and type") for kind in PAIRS),
        *((kind(), Spec((), F32), Spec((), F32), "same examples, size and type") for kind in PAIRS),
        *((kind(), Spec((4,), np.dtype(int)), Spec((4,), np.dtype(int)), "int64") for kind in PAIRS),
        (SoftlabelSoftmaxLoss(), Spec((4, 0), F32), Spec((4, 0), F32), "no classes along axis 1"),
        (SoftlabelSoftmaxLoss(2), Spec((4, 3), F32), Spec((4, 3), F32), "axis 2 does not exist"),
        (SoftlabelSoftmaxLoss(), Spec((4, 3), F32), Spec((4, 2), F32), "expected equal shapes"),
        (BinaryAccuracy(), Spec((4, 3), F32), Spec((4,), F32), "as many of each"),
        (BinaryAccuracy(), Spec((4,), np.dtype(np.int8)), Spec((4,), F32), "int8"),
    ],
)
def test_shapes_that_do_not_fit(op, a, b, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(a, b)
