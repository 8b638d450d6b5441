import itertools
import math

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import ReduceMean, ReduceSum, ReduceSumOfSquares, Spec
from mocha.testing.cases.reduce import CASES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_loops(case):
    op, (x,) = case.op, case.arrays()
    gone = {a % x.ndim for a in op.axes} if op.axes else set(range(x.ndim))
    totals, counts = {}, {}
    for at in itertools.product(*map(range, x.shape)):
        key = tuple(0 if i in gone else a for i, a in enumerate(at))
        value = x[at] ** 2 if isinstance(op, ReduceSumOfSquares) else x[at]
        totals[key] = totals.get(key, 0.0) + value
        counts[key] = counts.get(key, 0) + 1
    shape = [1 if i in gone else n for i, n in enumerate(x.shape)]
    expected = np.zeros(shape)
    for key, total in totals.items():
        expected[key] = total / counts[key] if isinstance(op, ReduceMean) else total
    if not op.keep:
        expected = expected.reshape([n for i, n in enumerate(x.shape) if i not in gone])
    y = op.forward(x)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


def test_nothing_to_reduce():
    x = np.zeros((0, 3))
    assert ReduceSum().forward(x) == 0
    assert ReduceSumOfSquares().forward(x) == 0
    assert math.isnan(ReduceMean().forward(x))
    np.testing.assert_array_equal(ReduceSum((0,)).forward(x), np.zeros(3))
    assert np.isnan(ReduceMean((0,)).forward(x)).all()
    assert ReduceMean().backward([np.asarray(1.0)], [x], [], [True]).shape == (0, 3)


@pytest.mark.parametrize("kind", [ReduceSum, ReduceMean, ReduceSumOfSquares])
def test_shapes_and_types_that_do_not_fit(kind):
    with pytest.raises(ShapeError, match="axis 2 does not exist in an input of 2 axes"):
        kind((0, 2)).infer(Spec((2, 3), np.dtype(np.float32)))
    with pytest.raises(ShapeError, match="expected float32 or float64"):
        kind().infer(Spec((2, 3), np.dtype(np.int64)))


def test_work():
    x = Spec((2, 3), np.dtype(np.float32))
    assert ReduceSum().work([x], [ReduceSum().infer(x)]) == 6
