import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from mocha.ops import Op, ReLU, Scale, Spec
from mocha.testing import CASES, FAMILIES, check_agreement, check_op, check_op_gradients, check_promises
from mocha.testing import gradients as module


@pytest.mark.parametrize("family", FAMILIES)
def test_each_op_against_differences(family):
    for case in FAMILIES[family]:
        assert check_op(case.op, *case.arrays(seed=3), checked=case.checked) < 1e-6, case


def test_catalogue_names_each_case_once_and_covers_each_op():
    ids = [case.id for case in CASES]
    assert len(set(ids)) == len(ids)
    from mocha import ops

    catalogued = {type(case.op).__name__ for case in CASES}
    offered = {name for name in ops.__all__ if isinstance(getattr(ops, name), type)}
    assert offered - catalogued == {"Op", "Spec", "Gradient", "ClassWeights", "GroundMetric", "BoxCode"}


def test_cases_are_the_same_each_time():
    for case in CASES:
        for a, b in zip(case.arrays(5), case.arrays(5), strict=True):
            np.testing.assert_array_equal(a, b)


class _Base(Op):
    """y = 2 x, done right; each test below breaks one thing."""

    def infer(self, x):
        return x

    def forward(self, x):
        return 2 * x

    def backward(self, grads, inputs, outputs, wanted):
        return 2 * grads[0]


X = np.arange(6.0).reshape(2, 3) + 0.5


def test_an_op_of_ones_own_passes():
    assert check_op(_Base(), X) < 1e-9


def test_wrong_gradient_is_told_with_its_place():
    class Wrong(_Base):
        def backward(self, grads, inputs, outputs, wanted):
            dx = 2 * grads[0]
            dx[1, 2] *= 1.001
            return dx

    with pytest.raises(AssertionError, match=r"Wrong: the gradient of input 0 at \(1, 2\)"):
        check_op_gradients(Wrong(), X)


def test_nan_gradient_does_not_pass():
    class Nan(_Base):
        def backward(self, grads, inputs, outputs, wanted):
            return grads[0] * np.nan

    with pytest.raises(AssertionError, match="is nan"):
        check_op_gradients(Nan(), X)


def _broken(**members):
    return type("Broken", (_Base,), members)()


def _modify_input(self, x):
    x += 1
    return 2 * x


def _only_alone(self, grads, inputs, outputs, wanted):
    return [grads[0] * (1 + sum(wanted)), grads[0]]


@pytest.mark.parametrize(
    ("op", "inputs", "message"),
    [
        (
            _broken(forward=lambda self, x: x.astype(np.float64)),
            1,
            r"forward gave 2x3 float64; infer promised 2x3 float32",
        ),
        (_broken(forward=lambda self, x: x[:1]), 1, "infer promised"),
        (_broken(forward=_modify_input), 1, "forward changed its input 0"),
        (_broken(overwrites=((0, 1),)), 1, "overwrites names output 0 and input 1"),
        (_broken(updates=((1, 0),)), 1, "updates names output 1 and input 0"),
        (_broken(is_view=True), 1, "is_view"),
        (_broken(n_aux=2), 1, "n_aux is 2 of 1"),
        (_broken(backward=lambda self, g, i, o, w: g[0].astype(np.float64)), 1, "backward gave 2x3 float64"),
        (_broken(backward=lambda self, g, i, o, w: [g[0]] * 2), 1, "2 gradients for 1 inputs"),
        (_broken(backward=lambda self, g, i, o, w: [None]), 1, "no gradient of input 0"),
        (_broken(backward=lambda self, g, i, o, w: g[0] + i[0], reads=lambda self, n, m: ((), ())), 1, "reads"),
        (
            _broken(infer=lambda self, a, b: a, forward=lambda self, a, b: a + b, backward=_only_alone),
            2,
            "only that is wanted",
        ),
    ],
)
def test_broken_promises(op, inputs, message):
    with pytest.raises(AssertionError, match=message):
        check_promises(op, *[X.copy() for _ in range(inputs)])


def test_backward_must_not_change_what_it_gets():
    def backward(self, grads, inputs, outputs, wanted):
        grads[0] *= 2
        return grads[0]

    with pytest.raises(AssertionError, match="backward changed"):
        check_promises(_broken(backward=backward), X)


def test_only_what_is_asked_for_is_checked():
    assert check_op(ReLU(), np.zeros(3), checked=()) == 0.0
    with pytest.raises(AssertionError, match="ReLU"):
        check_op(ReLU(), np.zeros(3))


def test_large_inputs_are_sampled():
    assert check_op(Scale(3.0), np.ones(5 * module.LIMIT)) < 1e-6


@dataclasses.dataclass(frozen=True)
class _Pair(Op):
    """Two outputs, so that the projection must weigh both."""

    def infer(self, x):
        return x, Spec((), x.dtype)

    def forward(self, x):
        return x * x, np.asarray((x**3).sum())

    def backward(self, grads, inputs, outputs, wanted):
        (x,) = inputs
        return 2 * x * grads[0] + 3 * x * x * grads[1]


def test_several_outputs():
    assert check_op(_Pair(), X) < 1e-6


def test_table(capsys, monkeypatch):
    few = {"ReLU": (3, 1e-9), "Tanh": (2, 1e-8)}
    monkeypatch.setattr(module, "worst_errors", lambda: few)
    assert module.main() == 0
    out = capsys.readouterr().out
    assert "Tanh" in out
    assert "worst of all: 1.0e-08" in out
    few["Tanh"] = (2, 1e-3)
    assert module.main() == 1


def test_worst_errors_of_some_cases():
    rows = module.worst_errors([case for case in CASES if case.op.name in ("Sigmoid", "Accuracy")])
    assert list(rows) == ["Sigmoid"]
    assert rows["Sigmoid"][0] == 3  # the extremes are not counted
    assert rows["Sigmoid"][1] < 1e-6


def test_names_load_when_asked_for():
    import mocha.testing

    with pytest.raises(AttributeError, match="nothing"):
        _ = mocha.testing.nothing
    assert mocha.testing.check_agreement is check_agreement
    code = "import sys, mocha.testing; sys.exit('mocha.testing.gradients' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
