import math

import numpy as np
import pytest
from tests.ops.caffe_vectors import check_against_caffe

from mocha.errors import ShapeError
from mocha.ops import (
    ELU,
    Abs,
    Clip,
    Exp,
    LeakyReLU,
    Log,
    Multiply,
    Power,
    PReLU,
    Scale,
    Softplus,
    Spec,
    Sum,
    Swish,
    Threshold,
)

X = [-2.5, -1.0, -0.25, 0.0, 0.25, 1.0, 2.5]


def _sigmoid(x):
    return 1 / (1 + math.exp(-x))


FORMULAS = [
    (ELU(), lambda x: x if x > 0 else math.expm1(x), lambda x: 1.0 if x > 0 else math.exp(x)),
    (ELU(0.5), lambda x: x if x > 0 else math.expm1(x) / 2, lambda x: 1.0 if x > 0 else math.exp(x) / 2),
    (Softplus(), lambda x: math.log1p(math.exp(x)), _sigmoid),
    (Swish(), lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x))),
    (Swish(-2.0), lambda x: x * _sigmoid(-2 * x), lambda x: _sigmoid(-2 * x) * (1 - 2 * x * _sigmoid(2 * x))),
    (Clip(-1.0, 0.25), lambda x: min(max(x, -1.0), 0.25), lambda x: float(-1.0 <= x <= 0.25)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("op", "value", "slope"), FORMULAS, ids=[str(op) for op, _, _ in FORMULAS])
def test_unary(op, value, slope, dtype):
    x = np.array(X, dtype)
    y = op.forward(x)
    dx = op.backward([np.full_like(x, 2)], [x], [y], [True])
    assert y.dtype == dx.dtype == dtype
    rtol = 1e-13 if dtype is np.float64 else 1e-5
    np.testing.assert_allclose(y, [value(v) for v in X], rtol=rtol, atol=rtol / 10)
    np.testing.assert_allclose(dx, [2 * slope(v) for v in X], rtol=rtol, atol=rtol)


def test_softplus_is_exact_far_out():
    x = np.array([-1000.0, -40.0, 40.0, 1000.0])
    np.testing.assert_allclose(Softplus().forward(x), [0.0, math.exp(-40.0), 40.0, 1000.0], rtol=1e-15)
    dx = Softplus().backward([np.ones(4)], [x], [], [True])
    np.testing.assert_allclose(dx, [0.0, math.exp(-40.0), 1.0, 1.0], rtol=1e-15)


def test_nan_and_infinity():
    x = np.array([math.nan, math.inf, -math.inf])
    for op, expected in [
        (ELU(), [math.nan, math.inf, -1]),
        (Softplus(), [math.nan, math.inf, 0]),
        (Swish(), [math.nan, math.inf, math.nan]),
        (Clip(-2.0, 3.0), [math.nan, 3, -2]),
        (Threshold(), [0, 1, 0]),
    ]:
        np.testing.assert_array_equal(op.forward(x), expected, err_msg=str(op))
    np.testing.assert_array_equal(Clip(-2.0, 3.0).backward([np.ones(3)], [x], [], [True]), [0, 0, 0])


def test_threshold_is_strict_and_has_no_gradient():
    np.testing.assert_array_equal(Threshold(0.25).forward(np.array(X)), [0, 0, 0, 0, 0, 1, 1])
    assert tuple(Threshold().differentiable(1)) == ()


def test_bounds_of_which_the_high_one_is_below():
    np.testing.assert_array_equal(Clip(1.0, -1.0).forward(np.array(X)), [-1] * 7)


def test_prelu_by_hand():
    x = np.array([[[1.0, -2.0], [-3.0, 0.0]]])
    slope, dy = np.array([0.5, 2.0]), np.array([[[10.0, 20.0], [30.0, 40.0]]])
    np.testing.assert_array_equal(PReLU().forward(x, slope), [[[1, -1], [-6, 0]]])
    dx, ds = PReLU().backward([dy], [x, slope], [], (True, True))
    np.testing.assert_array_equal(dx, [[[10, 10], [60, 80]]])
    np.testing.assert_array_equal(ds, [-40, -90])
    dx, ds = PReLU().backward([dy], [x, np.array(0.5)], [], (True, True))
    np.testing.assert_array_equal(dx, [[[10, 10], [15, 20]]])
    assert ds.shape == ()
    assert ds == -130


def test_a_negative_slope_for_all_is_a_prelu_too():
    x = np.array([-2.0, 3.0])
    np.testing.assert_array_equal(PReLU().forward(x, np.array(-1.0)), [2, 3])


F = np.dtype(np.float32)


@pytest.mark.parametrize(
    ("op", "specs", "words"),
    [
        (ELU(-1.0), [Spec((2,), F)], "alpha is -1; expected a number >= 0"),
        (ELU(math.nan), [Spec((2,), F)], "alpha is nan"),
        (Softplus(), [Spec((2,), np.dtype(np.int32))], "expected float32 or float64"),
        (PReLU(), [Spec((2, 3), F), Spec((2,), F)], "the slope is 2 float32; expected scalar float32 or 3 float32"),
        (PReLU(), [Spec((2,), F), Spec((2,), F)], "expected scalar float32 for an input of 2 float32"),
        (PReLU(), [Spec((2, 3), F), Spec((), np.dtype(np.float64))], "the slope is scalar float64"),
    ],
)
def test_shapes_that_do_not_fit(op, specs, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(*specs)


def _each(*steps):
    """One op after the other."""

    def compose(g, x):
        for step in steps:
            x = g(step, x)
        return x

    return compose


def _product(g, a, b):
    return g(Multiply(), a, b)


def _weighted_sum(g, a, b, c):
    return g(Sum(), g(Scale(2.0), a), g(Scale(-0.5), b), c)


CAFFE = [
    ("neuron_elu", _each(ELU())),
    ("neuron_bnll", _each(Softplus())),
    ("neuron_swish", _each(Swish())),
    ("neuron_clip", _each(Clip(-0.5, 0.7))),
    ("neuron_threshold", _each(Threshold(0.2))),
    ("neuron_prelu", lambda g, x, slope: g(PReLU(), x, slope)),
    ("neuron_prelu_shared", lambda g, x, slope: g(PReLU(), x, slope)),
    # what the pointwise family covers
    ("neuron_relu", _each(LeakyReLU(0.0))),
    ("neuron_absval", _each(Abs())),
    ("neuron_power", _each(Power(3.0, 0.5, 0.2))),
    ("neuron_power_zero", _each(Power(0.0, 0.5, 0.2))),
    ("neuron_exp", _each(Exp())),
    ("neuron_log", _each(Log())),
    ("eltwise_prod_unstable", _product),
    ("eltwise_sum_coeff", _weighted_sum),
]


@pytest.mark.parametrize(("name", "compose"), CAFFE, ids=[name for name, _ in CAFFE])
def test_against_caffe(name, compose):
    check_against_caffe(name, compose)


def test_exp_and_log_of_another_base_are_compositions():
    base, scale, shift = 2.0, 0.5, -1.0
    x = np.array([3.0, 4.0])
    power = Power(1.0, scale * math.log(base), shift * math.log(base)).forward(x)
    np.testing.assert_allclose(Exp().forward(power), base ** (shift + scale * x))
    inner = Log().forward(Power(1.0, scale, shift).forward(x))
    np.testing.assert_allclose(Scale(1 / math.log(base)).forward(inner), np.log2(shift + scale * x))
