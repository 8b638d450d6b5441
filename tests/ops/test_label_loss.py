import math
from pathlib import Path

import numpy as np
import pytest

from mocha.errors import ConfigError, FormatError, ShapeError
from mocha.ops import InfogainLoss, MulticlassHingeLoss, RankAccuracy, SoftmaxLoss, Spec

VECTORS = Path(__file__).parents[1] / "vectors"
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def slopes(op, *inputs):
    """The gradient of the first input."""
    outputs = op.forward(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    wanted = [i == 0 for i in range(len(inputs))]
    return op.backward([np.ones((), inputs[0].dtype)], inputs, outputs, wanted)[0]


@pytest.mark.parametrize("dtype", [F32, F64])
def test_infogain_against_caffe(dtype):
    vector = np.load(VECTORS / "infogain.npz")
    inputs = [vector[f"bottom/{name}"].astype(dtype) for name in ("x", "label", "H")]
    loss, p = InfogainLoss().forward(*inputs)
    assert loss.dtype == p.dtype == dtype
    np.testing.assert_allclose(loss, vector["top/y"], rtol=1e-6)
    # a Scale layer stands before the loss, and has left the gradient times its own input there
    dx = slopes(InfogainLoss(), *inputs)
    np.testing.assert_allclose(dx * inputs[0], vector["bottom_diff/x"], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [F32, F64])
def test_hinge_against_caffe(dtype):
    vector = np.load(VECTORS / "hinge_l1.npz")
    x, label = vector["bottom/x"].astype(dtype), vector["bottom/label"].astype(dtype)
    np.testing.assert_allclose(MulticlassHingeLoss().forward(x, label), vector["top/y"], rtol=1e-6)
    np.testing.assert_allclose(slopes(MulticlassHingeLoss(), x, label), vector["bottom_diff/x"], rtol=1e-6)


@pytest.mark.parametrize("dtype", [F32, F64])
def test_accuracy_against_caffe(dtype):
    vector = np.load(VECTORS / "accuracy.npz")
    share, _ = RankAccuracy().forward(vector["bottom/x"].astype(dtype), vector["bottom/label"])
    np.testing.assert_allclose(share, vector["top/y"], rtol=1e-7)
    vector = np.load(VECTORS / "accuracy_per_class.npz")
    share, each = RankAccuracy().forward(vector["bottom/x"].astype(dtype), vector["bottom/label"])
    np.testing.assert_allclose(share, vector["top/y"], rtol=1e-7)
    np.testing.assert_allclose(each, vector["top/pc"], rtol=1e-7)


def test_infogain_of_the_identity_is_the_softmax_loss():
    rng = np.random.default_rng(0)
    x, label = rng.standard_normal((2, 4, 3)), rng.integers(0, 4, (2, 3))
    for divisor in ("positions", "counted", "examples", "one"):
        op = InfogainLoss(ignore=2, divisor=divisor)
        same = SoftmaxLoss(ignore=2, divisor=divisor)
        assert op.forward(x, label, np.eye(4))[0] == pytest.approx(same.forward(x, label)[0], rel=1e-12)
        np.testing.assert_allclose(slopes(op, x, label, np.eye(4)), slopes(same, x, label), rtol=1e-12, atol=1e-15)


def test_infogain_by_hand():
    x, gains = np.log([[0.25, 0.75]]), np.array([[1.0, 9.0], [0.5, 2.0]])
    loss, _ = InfogainLoss(weight=3).forward(x, np.array([1]), gains)
    assert loss == pytest.approx(-3 * (0.5 * math.log(0.25) + 2 * math.log(0.75)))
    np.testing.assert_allclose(slopes(InfogainLoss(), x, np.array([1]), gains), [[0.25 * 2.5 - 0.5, 0.75 * 2.5 - 2]])
    loss, _ = InfogainLoss().forward(np.array([[0.0, 2000.0]]), np.array([0]), np.eye(2))
    assert loss == pytest.approx(-math.log(1e-20))


def test_hinge_by_hand():
    x, label = np.array([[2.0, -3.0, 0.5], [0.0, 0.25, -2.0]]), np.array([0, 1])
    assert MulticlassHingeLoss().forward(x, label) == (1.5 + 1.75) / 2
    assert MulticlassHingeLoss(2).forward(x, label) == (1.5**2 + 1 + 0.75**2) / 2
    np.testing.assert_array_equal(slopes(MulticlassHingeLoss(), x, label), [[0, 0, 0.5], [0.5, -0.5, 0]])
    np.testing.assert_array_equal(slopes(MulticlassHingeLoss(2), x, label), [[0, 0, 1.5], [1, -0.75, 0]])


@pytest.mark.parametrize(
    ("scores", "label", "k", "right"),
    [
        ([0, 0, 0], 0, 1, 0),
        ([0, 0, 0], 0, 2, 0),
        ([0, 0, 0], 0, 3, 1),
        ([1, 1, 0], 0, 2, 1),
        ([1, 2, 0], 0, 1, 0),
        ([1, 2, 0], 0, 2, 1),
        ([math.nan, 2, 0], 0, 1, 1),
        ([1, math.nan, 0], 0, 1, 1),
        ([1, math.nan, 2], 0, 1, 0),
        ([math.inf, math.inf, 2], 0, 1, 0),
    ],
)
def test_ranks(scores, label, k, right):
    share, each = RankAccuracy(k).forward(np.array([scores], float), np.array([label]))
    assert share == right
    np.testing.assert_array_equal(each, [right, 0, 0])


def test_accuracy_of_each_class_without_what_is_ignored():
    x = np.array([[3.0, 1, 2], [3, 1, 2], [1, 3, 2], [0, 0, 5], [5, 0, 0]])
    share, each = RankAccuracy(ignore=255).forward(x, np.array([0, 1, 1, 255, 0]))
    assert share == 0.75
    np.testing.assert_array_equal(each, [1, 0.5, 0])
    share, each = RankAccuracy(ignore=0).forward(x, np.zeros(5))
    assert share == 0
    np.testing.assert_array_equal(each, [0, 0, 0])


@pytest.mark.parametrize(
    ("op", "specs", "kind", "words"),
    [
        (InfogainLoss(), [(4, 3), (4,), (3, 4)], ShapeError, "the gains are 3x4 float64; expected 3x3 float64"),
        (InfogainLoss(), [(4, 3), (5,), (3, 3)], ShapeError, "expected one label a position"),
        (InfogainLoss(divisor="N"), [(4, 3), (4,), (3, 3)], ConfigError, "divisor is 'N'; expected one of"),
        (MulticlassHingeLoss(), [(4, 3), (3,)], ShapeError, "expected one label an example"),
        (MulticlassHingeLoss(), [(), ()], ShapeError, "expected one label an example"),
        (MulticlassHingeLoss(3), [(4, 3), (4,)], ConfigError, "norm is 3; expected 1 or 2"),
        (RankAccuracy(), [(4, 3), (3,)], ShapeError, "expected one label a position"),
        (RankAccuracy(4), [(4, 3), (4,)], ConfigError, "top_k is 4; expected 1 to 3, the number of classes"),
        (RankAccuracy(0), [(4, 3), (4,)], ConfigError, "top_k is 0; expected 1 to 3"),
        (RankAccuracy(axis=2), [(4, 3), (4,)], ShapeError, "axis 2 does not exist"),
    ],
)
def test_what_does_not_fit(op, specs, kind, words):
    with pytest.raises(kind, match=words):
        op.infer(*(Spec(shape, F64) for shape in specs))


@pytest.mark.parametrize("op", [InfogainLoss(), MulticlassHingeLoss(), RankAccuracy()], ids=str)
def test_labels_out_of_range(op):
    more = [np.eye(2)] if isinstance(op, InfogainLoss) else []
    with pytest.raises(FormatError, match=r"label 1 of the batch is 2\.0; expected a whole number from 0 to 1"):
        op.forward(np.zeros((2, 2)), np.array([1.0, 2.0]), *more)
