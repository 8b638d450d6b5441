import math

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import (
    Abs,
    Add,
    AddBias,
    Divide,
    Exp,
    LeakyReLU,
    Log,
    Multiply,
    Power,
    ReLU,
    Scale,
    Sigmoid,
    Spec,
    Subtract,
    Sum,
    Tanh,
)

X = [-2.5, -1.0, -0.25, 0.0, 0.25, 1.0, 2.5]
FORMULAS = [
    (ReLU(), lambda x: x if x > 0 else 0, lambda x: float(x > 0)),
    (ReLU(0.5), lambda x: x if x > 0.5 else 0.5, lambda x: float(x > 0.5)),
    (LeakyReLU(0.1), lambda x: x if x > 0 else 0.1 * x, lambda x: 1.0 if x > 0 else 0.1),
    (Sigmoid(), lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    (Tanh(), math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    (Exp(), math.exp, math.exp),
    (Abs(), abs, lambda x: math.copysign(1, x) if x else 0),
    (Scale(-3.0), lambda x: -3 * x, lambda x: -3.0),
    (Power(), lambda x: x, lambda x: 1.0),
    (Power(2.0, 3.0, 1.0), lambda x: (3 * x + 1) ** 2, lambda x: 6 * (3 * x + 1)),
    (Power(3.0, 1.0, 0.5), lambda x: (x + 0.5) ** 3, lambda x: 3 * (x + 0.5) ** 2),
    (Power(-2.0, 0.1, 1.0), lambda x: (0.1 * x + 1) ** -2, lambda x: -0.2 * (0.1 * x + 1) ** -3),
    (Power(0.0, 1.0, 5.0), lambda x: 1.0, lambda x: 0.0),
    (Power(0.5, 0.0, 4.0), lambda x: 2.0, lambda x: 0.0),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("op", "value", "slope"), FORMULAS, ids=[str(op) for op, _, _ in FORMULAS])
def test_unary(op, value, slope, dtype):
    x = np.array(X, dtype)
    y = op.forward(x)
    dx = op.backward([np.full_like(x, 2)], [x], [y], [True])
    assert y.dtype == dx.dtype == dtype
    rtol = 1e-13 if dtype is np.float64 else 1e-5
    np.testing.assert_allclose(y, [value(v) for v in X], rtol=rtol)
    np.testing.assert_allclose(dx, [2 * slope(v) for v in X], rtol=rtol, atol=rtol)


def test_log():
    x = np.array([0.5, 1.0, 4.0])
    np.testing.assert_allclose(Log().forward(x), [math.log(v) for v in x])
    np.testing.assert_allclose(Log().backward([np.ones(3)], [x], [], [True]), 1 / x)
    np.testing.assert_array_equal(Log().forward(np.array([0.0, -1.0])), [-math.inf, math.nan])


def test_nan_and_infinity_pass():
    x = np.array([math.nan, math.inf, -math.inf])
    for op, expected in [
        (ReLU(), [math.nan, math.inf, 0]),
        (LeakyReLU(0.5), [math.nan, math.inf, -math.inf]),
        (Sigmoid(), [math.nan, 1, 0]),
        (Tanh(), [math.nan, 1, -1]),
        (Exp(), [math.nan, math.inf, 0]),
        (Abs(), [math.nan, math.inf, math.inf]),
        (Power(2.0), [math.nan, math.inf, math.inf]),
    ]:
        np.testing.assert_array_equal(op.forward(x), expected, err_msg=str(op))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_do_not_overflow(dtype):
    x = np.array([-1e4, 1e4], dtype)
    np.testing.assert_array_equal(Sigmoid().forward(x), [0, 1])
    np.testing.assert_array_equal(Exp().forward(x), [0, math.inf])


def test_power_has_no_gradient_where_power_or_scale_is_zero():
    x = np.zeros(2)
    for op in (Power(0.0), Power(2.0, 0.0), Power(-1.0, 0.0)):
        np.testing.assert_array_equal(op.backward([np.ones(2)], [x], [], [True]), [0, 0])
    assert np.isnan(Power(0.5).forward(np.array([-1.0]))).all()


def test_binary():
    a, b, dy = np.array([6.0, -2.0]), np.array([3.0, 4.0]), np.array([1.0, 10.0])
    for op, y, da, db in [
        (Add(), a + b, dy, dy),
        (Subtract(), a - b, dy, -dy),
        (Multiply(), a * b, dy * b, dy * a),
        (Divide(), a / b, dy / b, -dy * a / b**2),
    ]:
        found = op.forward(a, b)
        np.testing.assert_allclose(found, y)
        grads = op.backward([dy], [a, b], [found], (True, True))
        np.testing.assert_allclose(grads[0], da)
        np.testing.assert_allclose(grads[1], db)


def test_division_by_zero():
    y = Divide().forward(np.array([1.0, -1.0, 0.0]), np.zeros(3))
    np.testing.assert_array_equal(y, [math.inf, -math.inf, math.nan])


def test_sum_adds_from_left_to_right_and_into_new_memory():
    big = np.array([1e16])
    y = Sum().forward(big, np.array([1.0]), -big)
    assert y.item() == (1e16 + 1.0) - 1e16
    one = np.ones(2)
    assert not np.shares_memory(Sum().forward(one), one)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_bias(axis):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    b = np.arange(float(x.shape[axis]))
    y, db = AddBias(axis).forward(x, b), np.zeros_like(b)
    for at in np.ndindex(x.shape):
        assert y[at] == x[at] + b[at[axis]]
        db[at[axis]] += x[at]
    np.testing.assert_allclose(AddBias(axis).backward([x], [x, b], [y], (True, True))[1], db)


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 2), (2, 3, 0)])
def test_nothing_at_all(shape):
    x, b = np.zeros(shape), np.ones(3)
    y = AddBias().forward(x, b)
    dx, db = AddBias().backward([y], [x, b], [y], (True, True))
    assert y.shape == dx.shape == shape
    np.testing.assert_array_equal(db, np.zeros(3))
    for op in (ReLU(), Sigmoid(), Power(0.5)):
        assert op.forward(x).shape == shape


F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


@pytest.mark.parametrize(
    ("op", "specs", "words"),
    [
        (ReLU(), [Spec((2,), np.dtype(np.int32))], "ReLU: received int32 values; expected float32 or float64"),
        (Add(), [Spec((2, 3), F32), Spec((3, 2), F32)], "input 2 is 3x2 float32, but input 1 is 2x3 float32"),
        (Multiply(), [Spec((2,), F32), Spec((2,), F64)], "expected equal shapes and types"),
        (Sum(), [], "expected at least one"),
        (Sum(), [Spec((2,), F32)] * 2 + [Spec((1,), F32)], "input 3"),
        (AddBias(), [Spec((2, 3), F32), Spec((2,), F32)], "the bias is 2 float32; expected 3 float32"),
        (AddBias(2), [Spec((2, 3), F32), Spec((3,), F32)], "axis 2 does not exist"),
    ],
)
def test_shapes_that_do_not_fit(op, specs, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(*specs)
