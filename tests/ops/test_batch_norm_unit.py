import itertools
import math

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import Add, AddBias, BatchNormTrain, BatchNormUnit, Gradient, ReLU, ScaleChannels, Spec, Sum
from mocha.testing import check_op
from mocha.testing.cases.batch_norm_unit import CASES

F32 = np.dtype(np.float32)


def specs(arrays):
    return tuple(map(Spec.of, arrays))


def one_by_one(op, dy, x, scale, shift, other=None, join=None):
    """Results and gradients by the ops that the unit stands for."""
    norm, times, plus, join = BatchNormTrain(op.eps), ScaleChannels(), AddBias(), join or Add()
    n, mean, var = norm.forward(x)
    scaled = times.forward(n, scale)
    z = plus.forward(scaled, shift)
    y = z if other is None else join.forward(z, other)
    if op.relu:
        y = ReLU().forward(y)
        dy = ReLU().backward([dy], [Spec.of(y)], [y], [True])
    both = [None, None] if other is None else [True, True]
    dz, *dother = [dy] if other is None else join.backward([dy], [Spec.of(y)] * 2, [Spec.of(y)], both)
    ds, dshift = plus.backward([dz], list(specs([scaled, shift])), [Spec.of(y)], [True, True])
    dn, dscale = times.backward([ds], [n, scale], [Spec.of(y)], [True, True])
    dx = norm.backward([dn], [Spec.of(x)], [n, Spec.of(mean), var], [True])
    return (y, mean, var), [dx, dscale, dshift, *dother]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_what_it_stands_for(case, dtype):
    op, arrays = case.op, case.arrays(dtype=dtype)
    dy = np.random.default_rng(5).standard_normal(arrays[0].shape).astype(dtype)
    with np.errstate(all="ignore"):
        expected, gradients = one_by_one(op, dy, *arrays, join=Sum() if case.about.endswith("ReLU") else None)
    outputs = op.forward(*arrays)
    for found, wish in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(found, wish)
    found = op.backward([dy], list(arrays), list(outputs), [True] * len(arrays))
    for i, (mine, theirs) in enumerate(zip(found, gradients, strict=True)):
        assert mine.dtype == dtype
        finite = theirs[np.isfinite(theirs)]
        near = 100 * np.finfo(dtype).eps
        typical = np.sqrt(np.mean(finite**2)) if finite.size else 0.0
        np.testing.assert_allclose(mine, theirs, rtol=near, atol=near * typical, err_msg=f"gradient {i}")


@pytest.mark.parametrize("case", [case for case in CASES if case.checked is None], ids=str)
def test_gradient_against_differences(case):
    assert check_op(case.op, *case.arrays(seed=1)) < 1e-6


def test_some_cases_have_a_relu_and_differences():
    kinds = {(case.op.relu, case.op.residual) for case in CASES if case.checked is None}
    assert kinds == set(itertools.product((False, True), repeat=2))
    for case in CASES:
        if case.checked is None and case.op.relu:
            y = case.op.forward(*case.arrays(seed=1))[0]
            assert 0.2 < np.mean(y > 0) < 0.8


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_any_of_the_gradients_alone(relu, residual):
    op, rng = BatchNormUnit(relu=relu, residual=residual), np.random.default_rng(0)
    shapes = [(5, 3, 2), (3,), (3,), *([(5, 3, 2)] if residual else [])]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    outputs, dy = op.forward(*arrays), rng.standard_normal((5, 3, 2))
    whole = op.backward([dy], arrays, list(outputs), [True] * len(arrays))
    for wanted in itertools.product((False, True), repeat=len(arrays)):
        node = Gradient(op, wanted, specs(arrays), specs(outputs))
        read_in, read_out = node.saved
        found = node.forward(*(arrays[i] for i in read_in), *(outputs[i] for i in read_out), dy)
        assert len(found) == sum(wanted)
        for mine, theirs in zip(found, [g for g, want in zip(whole, wanted, strict=True) if want], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_what_is_kept_for_the_way_back():
    for residual in (False, True):
        assert BatchNormUnit(residual=residual).reads(3 + residual, 3) == ((0, 1), (1, 2))
        assert BatchNormUnit(relu=True, residual=residual).reads(3 + residual, 3) == ((0, 1), (0, 1, 2))


def test_one_number_a_channel_has_no_gradient():
    op = BatchNormUnit(relu=True, residual=True)
    x, ones, other = np.array([[1.0, -2.0, 3e4]]), np.ones(3), np.array([[1.0, -5.0, 0.5]])
    y, mean, var = op.forward(x, ones, ones, other)
    np.testing.assert_array_equal(y, [[2, 0, 1.5]])
    np.testing.assert_array_equal(mean, x[0])
    assert not var.any()
    dx, dscale, dshift, dother = op.backward([np.full((1, 3), 7.0)], [x, ones], [y, mean, var], [True] * 4)
    assert not dx.any()
    assert not dscale.any()
    np.testing.assert_array_equal(dshift, [7, 0, 7])
    np.testing.assert_array_equal(dother, [[7, 0, 7]])


def test_nan_stays_in_its_channel_and_lets_no_gradient_through():
    op = BatchNormUnit(relu=True)
    x = np.random.default_rng(0).standard_normal((6, 3))
    x[2, 1] = math.nan
    outputs = op.forward(x, np.ones(3), np.ones(3))
    np.testing.assert_array_equal(np.isnan(outputs[0]), [[False, True, False]] * 6)
    dx, dscale, dshift = op.backward([np.ones((6, 3))], [x, np.ones(3)], list(outputs), [True] * 3)
    np.testing.assert_array_equal(np.isnan(dx), [[False, True, False]] * 6)
    np.testing.assert_array_equal(np.isnan(dscale), [False, True, False])
    assert dshift[1] == 0


def test_sums_are_made_in_float64():
    op = BatchNormUnit()
    x = np.full((100_000, 1), 0.1, np.float32)
    one = np.ones(1, np.float32)
    outputs = op.forward(x, one, one)
    assert outputs[1][0] == np.float32(0.1)
    assert (outputs[0] == 1).all()
    dy = np.full((100_000, 1), 0.1, np.float32)
    dx, dscale, dshift = op.backward([dy], [x, one], list(outputs), [True] * 3)
    assert dshift[0] == np.float32(100_000 * float(np.float32(0.1)))
    assert dscale[0] == 0
    assert not dx.any()


def test_no_examples():
    op = BatchNormUnit(relu=True, residual=True)
    x, c = np.zeros((0, 3, 2)), np.ones(3)
    y, mean, var = op.forward(x, c, c, x)
    assert y.shape == x.shape
    assert np.isnan([mean, var]).all()
    dx, dscale, dshift, dother = op.backward([x], [x, c], [y, mean, var], [True] * 4)
    assert dx.shape == dother.shape == x.shape
    assert not np.any([dscale, dshift])


@pytest.mark.parametrize(
    ("op", "shapes", "words"),
    [
        (BatchNormUnit(), [(4,), (4,), (4,)], "axis 1 does not exist"),
        (BatchNormUnit(), [(4, 3), (4,), (3,)], "the scale is 4 float32; expected 3 float32 for an input of 4x3"),
        (BatchNormUnit(), [(4, 3), (3,), (1, 3)], "the shift is 1x3 float32; expected 3 float32"),
        (BatchNormUnit(), [(4, 3), (3,), (3,), (4, 3)], "received 4 inputs; expected 3"),
        (BatchNormUnit(residual=True), [(4, 3), (3,), (3,)], "received 3 inputs; expected 4"),
        (BatchNormUnit(residual=True), [(4, 3), (3,), (3,), (3,)], "the other blob is 3 float32; expected 4x3 float32"),
    ],
)
def test_shapes_that_do_not_fit(op, shapes, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(*(Spec(shape, F32) for shape in shapes))


def test_types_that_do_not_fit():
    whole = np.dtype(np.int32)
    with pytest.raises(ShapeError, match="expected float32 or float64"):
        BatchNormUnit().infer(Spec((4, 3), whole), Spec((3,), whole), Spec((3,), whole))
