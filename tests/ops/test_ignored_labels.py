"""Losses of hard labels of which some are ignored, and what they are divided by; held against Caffe too."""

from pathlib import Path

import numpy as np
import pytest

from mocha.errors import ConfigError, FormatError, MochaError
from mocha.ops import MultinomialLogisticLoss, SoftmaxLoss, Spec, SquareLoss
from mocha.ops.labels import DIVISORS, class_numbers, divide_by

VECTORS = Path(__file__).parents[1] / "vectors"
LEAST = 2.0**-126


def run(op, *inputs):
    """The loss, and the gradient of the first input for a gradient of 1."""
    outputs = op.forward(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    wanted = [i in op.differentiable(len(inputs)) for i in range(len(inputs))]
    return outputs[0], op.backward([np.ones((), inputs[0].dtype)], inputs, outputs, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "op", "weight"),
    [
        ("softmaxloss", SoftmaxLoss(divisor="counted", least=LEAST), 1),
        ("softmaxloss_batch", SoftmaxLoss(divisor="examples", least=LEAST), 1),
        ("softmaxloss_ignore", SoftmaxLoss(ignore=2, divisor="counted", least=LEAST), 1),
        ("softmaxloss_none_w", SoftmaxLoss(weight=0.3, divisor="one", least=LEAST), 0.3),
        ("multinomial", MultinomialLogisticLoss(), 1),
    ],
)
def test_against_caffe(name, op, weight, dtype):
    vector = np.load(VECTORS / f"{name}.npz")
    x = vector["bottom/x"].astype(dtype)
    loss, (dx, _) = run(op, x, vector["bottom/label"].astype(dtype))
    assert loss.dtype == dx.dtype == dtype
    np.testing.assert_allclose(loss, weight * vector["top/y"], rtol=1e-6)  # Caffe's blob is without the weight
    np.testing.assert_allclose(dx, vector["bottom_diff/x"], rtol=1e-5, atol=1e-8)


def test_square_loss_is_caffes_euclidean_loss():
    vector = np.load(VECTORS / "euclidean.npz")
    loss, (da, db) = run(SquareLoss(0.5), vector["bottom/x"], vector["bottom/t"])
    np.testing.assert_allclose(loss, 0.5 * vector["top/y"], rtol=1e-6)
    np.testing.assert_allclose(da, vector["bottom_diff/x"], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(db, vector["bottom_diff/t"], rtol=1e-5, atol=1e-8)


def test_the_worst_loss_of_a_position():
    x = np.array([[0, 2000]], np.float32)
    loss, (dx, _) = run(SoftmaxLoss(least=LEAST), x, np.zeros(1))
    assert loss == pytest.approx(87.33655, rel=1e-7)
    np.testing.assert_array_equal(dx, [[-1, 1]])
    assert run(SoftmaxLoss(), x, np.zeros(1))[0] == 2000


@pytest.mark.parametrize(("divisor", "number"), [*zip(DIVISORS, [6, 4, 2, 1], strict=True)])
def test_divisors(divisor, number):
    x, label = np.zeros((2, 4, 3)), np.array([[0, 255, 1], [255, 3, 2]])
    loss, (dx, _) = run(SoftmaxLoss(ignore=255, divisor=divisor), x, label)
    assert loss == pytest.approx(4 * np.log(4) / number)
    assert dx[0, 0, 0] == pytest.approx(-0.75 / number)
    np.testing.assert_array_equal(dx[0, :, 1], 0)
    assert divide_by(divisor, 0, 0, 0) == 1


@pytest.mark.parametrize("divisor", DIVISORS)
def test_nothing_counts(divisor):
    loss, (dx, _) = run(SoftmaxLoss(ignore=-1, divisor=divisor), np.ones((3, 2)), np.full(3, -1))
    assert loss == 0
    np.testing.assert_array_equal(dx, np.zeros((3, 2)))
    loss, (dx, _) = run(SoftmaxLoss(ignore=-1, divisor=divisor), np.ones((0, 2)), np.ones(0))
    assert (loss, dx.shape) == (0, (0, 2))


def test_an_ignored_position_may_hold_anything():
    x = np.array([[np.nan, np.inf], [0.0, 0.0]])
    loss, (dx, _) = run(SoftmaxLoss(ignore=1, divisor="counted"), x, np.array([1, 0]))
    assert loss == pytest.approx(np.log(2))
    np.testing.assert_array_equal(dx, [[0, 0], [-0.5, 0.5]])


def test_labels_that_are_neither_classes_nor_ignored():
    with pytest.raises(
        FormatError, match=r"label 1 of the batch is 7\.0; expected .* 0 to 2, .* or 9, which is ignored"
    ):
        class_numbers(np.array([9.0, 7.0]), 3, 9)
    with pytest.raises(FormatError, match=r"label 0 of the batch is 0\.5"):
        class_numbers(np.array([0.5]), 3, 0)
    with pytest.raises(FormatError, match="is nan"):
        class_numbers(np.array([np.nan]), 3, 0)
    np.testing.assert_array_equal(class_numbers(np.array([0, 2, 1], np.uint8), 2, 2), [0, -1, 1])


@pytest.mark.parametrize("kind", ["numpy", "native"])
def test_an_ignored_label_that_the_type_does_not_hold(kind):
    from mocha.backends import Backend
    from mocha.graph import Graph, Section, build_program

    if kind == "native":
        pytest.importorskip("mocha._native", reason="the native library was not built")
    g = Graph()
    float32 = np.dtype(np.float32)
    x, label = g.input("x", Spec((2, 3), float32)), g.input("label", Spec((2,), float32))
    g.blobs["loss"] = g.apply(SoftmaxLoss(ignore=2**24 + 1), x, label)[0]
    given = np.array([1, 2**24], np.float32)
    with Backend(kind) as backend:
        executable = backend.compile(build_program("p", g, {}, keep=None, channels_last=backend.channels_last))
        with pytest.raises(MochaError, match=r"label 1 of the batch is 16777216\.0; expected"):
            executable.run(Section.FORWARD, feeds={"x": np.zeros((2, 3), np.float32), "label": given})


def test_a_divisor_that_there_is_not():
    spec = Spec((2, 3), np.dtype(np.float32))
    with pytest.raises(ConfigError, match="divisor is 'valid'; expected one of 'positions', 'counted'"):
        SoftmaxLoss(divisor="valid").infer(spec, Spec((2,), spec.dtype))
