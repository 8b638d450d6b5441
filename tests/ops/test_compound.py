import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import (
    AddBias,
    Chain,
    ClipByNorm,
    Convolution,
    Divide,
    Gradient,
    L2Decay,
    Op,
    ReLU,
    SgdStep,
    Sigmoid,
    Spec,
)
from mocha.ops.base import as_tuple
from mocha.testing.cases.compound import CASES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_chain_is_its_steps_one_after_the_other(case):
    arrays = list(case.arrays())
    chain, rest = case.op, iter(arrays)
    result = [next(rest)]
    for step, count in zip(chain.steps, chain.counts, strict=True):
        result = list(as_tuple(step.forward(result[0], *(next(rest) for _ in range(count - 1)))))
    found = chain.forward(*arrays)
    assert len(found) == len(result)
    for a, b in zip(found, result, strict=True):
        np.testing.assert_array_equal(a, b)
    assert chain.infer(*map(Spec.of, arrays)) == tuple(map(Spec.of, result))


def test_a_chain_updates_what_its_last_step_does():
    step = ClipByNorm(1.0)
    chain = Chain((step,), (2,)).extended(L2Decay(0.1), 2).extended(SgdStep(), 5)
    # g norm w | w v rate momentum
    assert chain.updates == ((0, 3), (1, 4))
    assert chain.counts == (2, 2, 5)
    assert Chain((Convolution(), ReLU()), (2, 1)).updates == ()


def test_a_chain_in_print_and_its_work():
    chain = Chain((Convolution(pad=(1, 1)), AddBias(), Sigmoid()), (2, 2, 1))
    assert chain.name == "Convolution+AddBias+Sigmoid"
    assert str(chain) == "Convolution(pad=1x1) + AddBias + Sigmoid"
    specs = [Spec(s, np.dtype(np.float32)) for s in ((1, 2, 4, 4), (3, 2, 3, 3), (3,))]
    out = chain.infer(*specs)
    assert chain.work(specs, out) == 2 * 48 * 18 + 48 + 48
    assert not chain.differentiable(3)


def test_gradient_has_only_what_is_wanted_and_read():
    spec = Spec((3,), np.dtype(np.float64))
    op = Gradient(Divide(), (False, True), (spec, spec), (spec,))
    a, b, dy = np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), np.ones(3)
    assert tuple(map(tuple, op.saved)) == ((1,), (0,))
    assert op.infer(spec, spec, spec) == (spec,)
    (db,) = op.forward(b, a / b, dy)
    np.testing.assert_allclose(db, -a / b**2)
    assert op.name == "dDivide"
    assert str(op) == "dDivide for input 1"
    assert op.overwrites == ()


def test_gradient_of_a_pointwise_op_may_take_over_the_gradient_that_came_in():
    spec = Spec((3,), np.dtype(np.float64))
    assert Gradient(Sigmoid(), (True,), (spec,), (spec,)).overwrites == ((0, 1),)
    assert Gradient(Divide(), (True, True), (spec, spec), (spec,)).overwrites == ((0, 2),)


class _NoBackward(Op):
    def infer(self, x):
        return x

    def forward(self, x):
        return x


class _TooMany(_NoBackward):
    def backward(self, grads, inputs, outputs, wanted):
        return grads[0], grads[0]


def test_an_op_without_backward():
    spec = Spec((3,), np.dtype(np.float64))
    assert not _NoBackward().differentiable(1)
    with pytest.raises(NotImplementedError, match="_NoBackward has no backward"):
        Gradient(_NoBackward(), (True,), (spec,), (spec,)).forward(*[np.ones(3)] * 3)


def test_a_backward_with_too_many_gradients():
    spec = Spec((3,), np.dtype(np.float64))
    with pytest.raises(
        ShapeError, match=r"_TooMany.backward returned 2 gradients; expected one for each of its 1 inputs"
    ):
        Gradient(_TooMany(), (True,), (spec,), (spec,)).forward(*[np.ones(3)] * 3)


def test_specs():
    spec = Spec((2, 3), np.dtype(np.float32))
    assert (spec.ndim, spec.size, spec.nbytes) == (2, 6, 24)
    assert str(spec) == "2x3 float32"
    assert str(Spec((), np.dtype(np.float64))) == "scalar float64"
