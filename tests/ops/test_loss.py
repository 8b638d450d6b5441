import math

import numpy as np
import pytest

from mocha.errors import ConfigError, FormatError, ShapeError
from mocha.ops import Accuracy, ClassWeights, MultinomialLogisticLoss, SoftmaxLoss, Spec, SquareLoss
from mocha.ops.labels import class_numbers
from mocha.testing.cases.loss import CASES

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def _rows(case):
    x, label = case.arrays()
    axis = case.op.axis
    return np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis]), label.reshape(-1).astype(int)


def _scale(case):
    """What the sum over the positions is multiplied by, from the definition."""
    op, (x, label) = case.op, case.arrays()
    counted = sum(k != op.ignore for k in label.reshape(-1)) if isinstance(op, SoftmaxLoss) else label.size
    examples = x[(..., *[0] * (-op.axis % x.ndim))].size
    numbers = {"positions": label.size, "counted": counted, "examples": examples, "one": 1}
    return op.weight / max(numbers[getattr(op, "divisor", "positions")], 1)


@pytest.mark.parametrize(
    "case", [c for c in CASES if isinstance(c.op, SoftmaxLoss) and c.checked is None and c.op.weights is None], ids=str
)
def test_softmax_loss_against_the_formula(case):
    total, (rows, label) = 0.0, _rows(case)
    for row, k in zip(rows, label, strict=True):
        if k == case.op.ignore:
            continue
        total -= math.log(math.exp(row[k]) / sum(math.exp(v) for v in row))
    loss, probability = case.op.forward(*case.arrays())
    assert loss == pytest.approx(_scale(case) * total, rel=1e-12)
    np.testing.assert_allclose(probability.sum(axis=case.op.axis), 1.0)


def _weight_at(weights, shape, axis, place):
    """What a class weight is at one place of the scores, from the definition, by loops."""
    axis %= len(shape)
    w = np.array(weights.numbers).reshape(weights.shape)
    full = np.empty(shape)
    for at in np.ndindex(shape):
        full[at] = w[at[axis]] if w.shape == (shape[axis],) else w[at[1:]] if w.ndim < len(shape) else w[at]
    if weights.normalize == "local":
        line = [full[(*place[:axis], c, *place[axis + 1 :])] for c in range(shape[axis])]
        return full[place] * len(line) / sum(line)
    if weights.normalize == "global":
        return full[place] * full[place[0]].size / sum(full[place[0]].ravel())
    return full[place]


@pytest.mark.parametrize("case", [c for c in CASES if getattr(c.op, "weights", None) and c.checked is None], ids=str)
def test_class_weights_against_loops(case):
    x, label = case.arrays()
    axis = case.op.axis % x.ndim
    places = [n for i, n in enumerate(x.shape) if i != axis]
    p = np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True) if isinstance(case.op, SoftmaxLoss) else x
    total, slopes = 0.0, np.zeros_like(x)
    for place, k in zip(np.ndindex(*places), label.reshape(-1).astype(int), strict=True):
        if k == getattr(case.op, "ignore", None):
            continue
        at = (*place[:axis], k, *place[axis:])
        w = _weight_at(case.op.weights, x.shape, axis, at)
        total -= w * math.log(p[at])
        line = (*place[:axis], slice(None), *place[axis:])
        slopes[line] = w * (p[line] - np.eye(x.shape[axis])[k]) if isinstance(case.op, SoftmaxLoss) else 0
        slopes[at] = slopes[at] if isinstance(case.op, SoftmaxLoss) else -w / p[at]
    scale = _scale(case)
    outputs = case.op.forward(x, label)
    loss, outputs = (outputs[0], outputs) if isinstance(outputs, tuple) else (outputs, (outputs,))
    assert loss == pytest.approx(scale * total, rel=1e-12)
    dx, _ = case.op.backward([np.asarray(2.0)], [x, label], outputs, (True, False))
    np.testing.assert_allclose(dx, 2 * scale * slopes, rtol=1e-12, atol=1e-15)


def test_weights_by_hand():
    x, label = np.zeros((2, 2)), np.array([0, 1])
    for normalize, expected in [("no", (3 + 1) / 2), ("local", (1.5 + 0.5) / 2), ("global", (1.5 + 0.5) / 2)]:
        loss, _ = SoftmaxLoss(weights=ClassWeights.of([3, 1], normalize)).forward(x, label)
        assert loss == pytest.approx(expected * math.log(2))
    # two pixels of which the second counts three times as much
    x, weights = np.zeros((1, 2, 1, 2)), [[[1.0, 3.0]], [[1.0, 3.0]]]
    for normalize, expected in [("no", (1 + 3) / 2), ("local", 1), ("global", (0.5 + 1.5) / 2)]:
        loss, _ = SoftmaxLoss(weights=ClassWeights.of(weights, normalize)).forward(x, np.zeros((1, 1, 2)))
        assert loss == pytest.approx(expected * math.log(2))


@pytest.mark.parametrize(
    ("weights", "shape", "axis", "kind", "words"),
    [
        ([1.0, 2], (4, 3), 1, ShapeError, r"shape \(2,\), .* expected \(3,\), one for each class"),
        (np.ones((3, 2)), (4, 3, 2, 2), 1, ShapeError, r"\(3, 2, 2\), one example's shape"),
        ([1.0, 2, 3, 4], (4, 3), 0, ShapeError, "another axis than the batch"),
        ([0.0, 0], (4, 2), 1, ConfigError, "all weights of classes are 0 at one position"),
        (
            [[1.0, 0], [1, 0]],
            (4, 2, 2),
            1,
            ConfigError,
            "at one position; expected one > 0, because normalize is 'local'",
        ),
    ],
)
@pytest.mark.parametrize("op", [SoftmaxLoss, MultinomialLogisticLoss])
def test_weights_that_do_not_fit(op, weights, shape, axis, kind, words):
    labels = tuple(n for i, n in enumerate(shape) if i != axis)
    with pytest.raises(kind, match=words):
        op(axis, weights=ClassWeights.of(weights)).infer(Spec(shape, F32), Spec(labels, F32))


def test_a_weight_may_be_0():
    op = SoftmaxLoss(weights=ClassWeights.of([0.0, 1.0]))
    loss, p = op.forward(np.array([[5.0, 1.0]]), np.array([0]))
    assert loss == 0
    assert not op.backward([np.asarray(1.0)], [None, np.array([0])], [loss, p], (True, False))[0].any()


def test_multinomial_logistic_loss():
    x, label = np.array([[0.2, 0.8], [0.0, 1.0]]), np.array([1, 0])
    loss = MultinomialLogisticLoss(weight=3.0).forward(x, label)
    assert loss == pytest.approx(-3 * (math.log(0.8) + math.log(1e-20)) / 2)
    dx, none = MultinomialLogisticLoss(weight=3.0).backward([np.asarray(2.0)], [x, label], [loss], (True, False))
    np.testing.assert_allclose(dx, [[0, -3 / 0.8], [-3e20, 0]])
    assert none is None
    assert not MultinomialLogisticLoss().differentiable(2).count(1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_loss_of_extreme_scores_is_finite(dtype):
    x = np.array([[1e4, -1e4, 0.0]], dtype)
    for label, expected in [(0, 0.0), (1, 2e4), (2, 1e4)]:
        loss, probability = SoftmaxLoss().forward(x, np.array([label]))
        assert loss == expected
        dx, _ = SoftmaxLoss().backward(
            [np.asarray(1, dtype)], [x, np.array([label])], [loss, probability], (True, False)
        )
        np.testing.assert_array_equal(dx, [np.array([1, 0, 0]) - np.eye(3)[label]])


def test_nan_scores_give_a_nan_loss():
    loss, _ = SoftmaxLoss().forward(np.array([[math.nan, 0.0], [1.0, 2.0]]), np.array([0, 1]))
    assert math.isnan(loss)


def test_square_loss():
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 2.0], [5.0, 1.0]])
    assert SquareLoss().forward(a, b) == (1 + 0 + 4 + 9) / (2 * 2)
    assert SquareLoss(3.0).forward(a, b.reshape(2, 2, 1, 1)) == 3 * 14 / 4
    da, db = SquareLoss(3.0).backward([np.asarray(2.0)], [a, b], [], (True, True))
    np.testing.assert_allclose(da, 2 * 3 / 2 * (a - b))
    np.testing.assert_allclose(db, -da)


@pytest.mark.parametrize("case", [c for c in CASES if isinstance(c.op, Accuracy)], ids=str)
def test_accuracy_against_loops(case):
    right, (rows, label) = 0, _rows(case)
    for row, k in zip(rows, label, strict=True):
        right += max(range(len(row)), key=lambda i, row=row: row[i]) == k  # max gives the first of equal ones
    assert case.op.forward(*case.arrays()) == right / len(label)
    assert not case.op.differentiable(2)


def test_losses_are_added_up_in_double():
    n = 200_000
    x = np.zeros((n, 2), np.float32)
    loss, _ = SoftmaxLoss().forward(x, np.zeros(n, np.float32))
    assert loss.dtype == np.float32
    assert loss == np.float32(math.log(2))
    assert SquareLoss().forward(np.full((n, 1), 0.1, np.float32), np.zeros((n, 1), np.float32)) == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (np.array([0.0, 3.0, 1.0]), r"label 1 of the batch is 3\.0; expected a whole number from 0 to 2"),
        (np.array([0, 1, -1]), "label 2 of the batch is -1"),
        (np.array([0.5, 1.0, 1.0]), r"label 0 of the batch is 0\.5"),
        (np.array([0.0, math.nan, 1.0]), "label 1 of the batch is nan"),
        (np.array([0.0, 1.0, math.inf]), "label 2 of the batch is inf"),
        (np.array([[0], [7], [1]], np.uint8), "label 1 of the batch is 7"),
        (np.array([0, 2**64 - 1, 1], np.uint64), "label 1 of the batch is"),
    ],
)
@pytest.mark.parametrize("op", [SoftmaxLoss(), MultinomialLogisticLoss(), Accuracy()], ids=str)
def test_labels_that_cannot_be(op, label, words):
    with pytest.raises(FormatError, match=words):
        op.forward(np.zeros((3, 3)), label)


def test_class_numbers():
    for dtype in (np.float32, np.float64, np.int8, np.uint8, np.int64):
        found = class_numbers(np.array([[0], [2]], dtype), 3)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, [[0], [2]])


def test_no_examples():
    loss, probability = SoftmaxLoss().forward(np.zeros((0, 3)), np.zeros(0))
    assert loss == 0
    assert probability.shape == (0, 3)
    dx, _ = SoftmaxLoss().backward([np.asarray(1.0)], [probability, np.zeros(0)], [loss, probability], (True, False))
    assert dx.shape == (0, 3)
    assert SquareLoss().forward(np.zeros((0, 3)), np.zeros((0, 3))) == 0
    assert Accuracy().forward(np.zeros((0, 3)), np.zeros(0)) == 0


@pytest.mark.parametrize(
    ("op", "a", "b", "words"),
    [
        (SoftmaxLoss(), Spec((4, 3), F32), Spec((3,), F32), "4 positions of 3 classes .axis 1., but the labels are 3"),
        (SoftmaxLoss(2), Spec((4, 3), F32), Spec((4,), F32), "axis 2 does not exist"),
        (SoftmaxLoss(), Spec((4, 3), np.dtype(np.int8)), Spec((4,), F32), "int8"),
        (SoftmaxLoss(), Spec((4, 0), F32), Spec((4,), F32), "of 0 classes"),
        (MultinomialLogisticLoss(), Spec((4, 3), F32), Spec((3,), F32), "4 positions of 3 classes"),
        (Accuracy(), Spec((4, 3, 2, 2), F32), Spec((4,), F32), "16 positions"),
        (SquareLoss(), Spec((4, 3), F32), Spec((4, 2), F32), "expected the same examples, size and type"),
        (SquareLoss(), Spec((4, 3), F32), Spec((3, 4), F32), "expected the same examples, size and type"),
        (SquareLoss(), Spec((4, 3), F32), Spec((4, 3), F64), "expected the same examples, size and type"),
    ],
)
def test_shapes_that_do_not_fit(op, a, b, words):
    with pytest.raises(ShapeError, match=words):
        op.infer(a, b)
