import dataclasses

import numpy as np
import pytest

from mocha.backends import NumpyBackend
from mocha.ops import Abs, Convolution, MaxPooling, SgdStep
from mocha.ops.base import as_tuple
from mocha.testing import CASES, FAMILIES, Case, check_agreement
from mocha.testing.agreement import _compare, _run, _setting
from mocha.testing.case import number
from mocha.testing.promises import output_gradients


@pytest.mark.parametrize("reuse", [False, True], ids=["by hand", "reusing memory"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_numpy_backend_agrees_with_the_reference(family, dtype, reuse):
    with NumpyBackend() as backend:
        for case in FAMILIES[family]:
            assert check_agreement(case, backend, dtype, reuse=reuse) == 0, case
        assert not backend.store.arrays


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_reference_is_the_ops_own_code(dtype):
    for case in CASES:
        arrays = case.arrays(0, dtype)
        backend = NumpyBackend()
        found = _run(_setting(case, arrays, True, 0, backend), backend)
        with np.errstate(all="ignore"):
            outputs = as_tuple(case.op.forward(*arrays))
            stored = dict(case.op.updates)
            for k, out in enumerate(outputs):
                what = f"stored 'agreement/input {stored[k]}'" if k in stored else f"blob 'output {k}'"
                np.testing.assert_array_equal(found[what], out)
            can = case.op.differentiable(len(arrays))
            if can:
                weights = output_gradients(case.op, outputs, 0)
                wanted = [i in can for i in range(len(arrays))]
                for i, grad in enumerate(as_tuple(case.op.backward(weights, arrays, outputs, wanted))):
                    if i in can:
                        np.testing.assert_array_equal(found[f"gradient of 'agreement/input {i}'"], grad)


class _Odd(NumpyBackend):
    """A backend that gets some ops wrong: it runs other ops in their place."""

    def __init__(self, **instead):
        super().__init__()
        self._instead = instead

    def compile(self, program):
        nodes = tuple(dataclasses.replace(node, op=self._instead.get(node.op.name, node.op)) for node in program.nodes)
        return super().compile(dataclasses.replace(program, nodes=nodes))


def _case(name, about):
    return next(case for case in CASES if case.op.name == name and case.about == about)


def test_a_wrong_output_is_found():
    with pytest.raises(
        AssertionError, match=r"ReLU: plain, blob 'output 0' at \(.*\): received .*; the reference gives 0"
    ):
        check_agreement(_case("ReLU", "plain"), _Odd(ReLU=Abs()), "float32")


def test_a_wrong_gradient_is_found():
    from mocha.ops import Gradient, LeakyReLU, Spec

    spec = (Spec((2, 3, 2, 3), np.dtype(np.float32)),)
    wrong = _Odd(dReLU=Gradient(LeakyReLU(1e-3), (True,), spec, spec))
    with pytest.raises(AssertionError, match="gradient of 'agreement/input 0'"):
        check_agreement(_case("ReLU", "plain"), wrong, "float32")


def test_a_wrong_update_is_found():
    with pytest.raises(AssertionError, match="stored 'agreement/input 1'"):
        check_agreement(_case("SgdStep", "plain"), _Odd(SgdStep=SgdStep(1.01)), "float32")


def test_a_wrong_winner_is_found():
    case = Case("ties", MaxPooling((2, 2)), (lambda rng: np.zeros((1, 1, 2, 2)),), checked=())

    class Last(MaxPooling):
        def forward(self, x):
            y, winner = super().forward(x)
            return y, np.full_like(winner, 3)

    with pytest.raises(AssertionError, match=r"blob 'output 1'.*received 3; the reference gives 0"):
        check_agreement(case, _Odd(MaxPooling=Last((2, 2))), "float64")


def test_a_tolerance_of_ones_own():
    case = Case("x", SgdStep(), ((3,), (3,), (3,), number(0.1), number(0.5)))
    assert 0 < check_agreement(case, _Odd(SgdStep=SgdStep(1.01)), "float64", tolerance=1.0) < 0.1
    case = Case("x", Convolution(), ((1, 1, 3, 3), (1, 1, 2, 2)))
    assert check_agreement(case, NumpyBackend(), "float64", tolerance=0.0) == 0


@pytest.mark.parametrize(
    ("found", "expected", "error"),
    [
        ([1.0, np.nan], [1.0, np.nan], 0),
        ([np.inf, -np.inf], [np.inf, -np.inf], 0),
        ([1.0, np.nan], [1.0, 2.0], np.inf),
        ([1.0, 2.0], [1.0, np.nan], np.inf),
        ([np.inf], [-np.inf], np.inf),
        ([1.0, 1e-9], [1.0, 0.0], 1.41e-9),  # held to the root of the mean square, 1 / sqrt 2
        ([1.1], [1.0], 0.0909),
        ([], [], 0),
    ],
)
def test_the_measure(found, expected, error):
    assert _compare("x", np.array(found), np.array(expected), np.inf) == pytest.approx(error, rel=0.01)


def test_shapes_and_types_must_agree():
    for other in (np.zeros((1, 2)), np.zeros(2, np.float32)):
        with pytest.raises(AssertionError, match="received"):
            _compare("x", other, np.zeros(2), np.inf)
