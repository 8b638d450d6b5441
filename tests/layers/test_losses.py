"""Losses and measures in whole nets: values by plain NumPy, gradients by differences, and both backends."""

import numpy as np
import pytest
from tests.layers.test_gradients import check_net, numbers

from mocha import (
    BackendUnavailable,
    ConfigError,
    FormatError,
    MemoryDataLayer,
    MultinomialLogisticLossLayer,
    Net,
    ShapeError,
    SoftmaxLayer,
    SoftmaxLossLayer,
)
from mocha.backends import Backend

BOTH = ["x", "label"]


def run(layer, x, label, backend="numpy", **more):
    """The loss, the gradients of both bottoms as far as there are any, and the statistics."""
    data = MemoryDataLayer(data=[x, label], tops=list(layer.bottoms), batch_size=len(x))
    with Backend(backend) as made, Net("losses", made, [data, layer], force_backward=True, **more) as net:
        loss = net.forward_backward()
        gradients = [dict(net.gradients).get(name) for name in layer.bottoms]
        return loss, gradients, net.statistics()


@pytest.fixture(params=["numpy", "native"])
def backend(request):
    try:
        with Backend(request.param):
            return request.param
    except BackendUnavailable as reason:
        pytest.skip(str(reason))


def softmax(x, axis=1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


X, CLASSES = numbers(4, 3), np.array([0.0, 2, 1, 1])
IMAGE = numbers(2, 3, 2, 2)
PIXELS = np.random.default_rng(0).integers(0, 3, (2, 1, 2, 2)).astype(float)
RNG = np.random.default_rng(5)

# -- hard labels


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("normalize", "scale"), [("local", 3 / 6), ("global", 3 / 6), ("no", 1.0)])
def test_class_weights(backend, normalize, scale, dtype):
    weights = np.array([1.0, 2, 3])
    layer = SoftmaxLossLayer(weight=0.5, weights=weights, normalize=normalize, bottoms=BOTH)
    loss, (dx, _), _ = run(layer, X.astype(dtype), CLASSES, backend)
    k, p = CLASSES.astype(int), softmax(X)
    w = scale * weights[k]
    assert loss == pytest.approx(0.5 / 4 * -np.sum(w * np.log(p[range(4), k])), rel=1e-5)
    np.testing.assert_allclose(dx, 0.5 / 4 * w[:, None] * (p - np.eye(3)[k]), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", [SoftmaxLossLayer, MultinomialLogisticLossLayer])
@pytest.mark.parametrize("normalize", ["local", "global", "no"])
@pytest.mark.parametrize("shape", [(3,), (3, 2, 2), (2, 3, 2, 2)])
def test_gradients_with_class_weights(kind, normalize, shape):
    layer = kind(weight=0.7, weights=RNG.uniform(0.5, 2, shape), normalize=normalize, bottoms=["p", "label"])
    between = SoftmaxLayer(bottoms=["x"], tops=["p"])
    found, _ = check_net([between, layer], {"x": IMAGE, "label": PIXELS})
    assert set(found) == {"x"}


def test_multinomial_logistic_loss(backend):
    p = softmax(X)
    layer = MultinomialLogisticLossLayer(weight=2, bottoms=BOTH)
    loss, (dx, dlabel), _ = run(layer, p, CLASSES[:, None], backend)
    k = CLASSES.astype(int)
    assert loss == pytest.approx(-2 / 4 * np.log(p[range(4), k]).sum(), rel=1e-12)
    expected = np.zeros_like(p)
    expected[range(4), k] = -2 / 4 / p[range(4), k]
    np.testing.assert_allclose(dx, expected, rtol=1e-12)
    assert dlabel is None
    loss, (dx, _), _ = run(layer, np.array([[0.0, 1.0]]), np.array([0]), backend)
    assert loss == pytest.approx(-2 * np.log(1e-20))
    np.testing.assert_allclose(dx, [[-2e20, 0]])


def test_softmax_and_multinomial_loss_are_softmax_loss(backend):
    weights = [0.5, 1, 4]
    data = MemoryDataLayer(data=[IMAGE, PIXELS], tops=BOTH, batch_size=2)
    whole = SoftmaxLossLayer(name="whole", weights=weights, bottoms=BOTH)
    parts = [SoftmaxLayer(bottoms=["x"], tops=["p"]),
             MultinomialLogisticLossLayer(name="parts", weights=weights, bottoms=["p", "label"])]  # fmt: skip
    found = []
    for layers in ([whole], parts):
        with Backend(backend) as made, Net("parts", made, [data, *layers], force_backward=True) as net:
            found.append((net.forward_backward(), net.gradients["x"]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", [SoftmaxLossLayer, MultinomialLogisticLossLayer])
@pytest.mark.parametrize(("wrong", "told"), [(3.0, "3"), (-1.0, "-1"), (0.5, "0.5"), (np.nan, "nan")])
@pytest.mark.parametrize("weights", [(), [1, 2, 3]])
def test_labels_that_are_no_classes(backend, kind, wrong, told, weights):
    layer = kind(name="loss", weights=weights, bottoms=BOTH)
    with pytest.raises(FormatError, match=rf"layer 'loss': label 2 of the batch is {told}.*; expected a whole number"):
        run(layer, np.abs(X), np.array([0.0, 1, wrong, 2]), backend)


@pytest.mark.parametrize("kind", [SoftmaxLossLayer, MultinomialLogisticLossLayer])
def test_class_weights_that_cannot_be(kind):
    for wrong in ([-1.0, 2, 3], [np.nan, 1, 1], [np.inf, 1, 1], 3.0, "heavy", [[1, 2], [3]], None):
        with pytest.raises(
            ConfigError, match=r"\('loss'\): weights is .*; expected nothing, or an array of numbers >= 0"
        ):
            kind(name="loss", weights=wrong, bottoms=BOTH)
    with pytest.raises(ConfigError, match="normalize is 'all'; expected 'local', 'global' or 'no'"):
        kind(name="loss", normalize="all", bottoms=BOTH)
    with pytest.raises(
        ShapeError, match=r"layer 'loss': weights of classes have the shape \(2,\), the scores \(4, 3\)"
    ):
        run(kind(name="loss", weights=[1, 2], bottoms=BOTH), X, CLASSES)
    with pytest.raises(ConfigError, match="layer 'loss': all weights of classes are 0"):
        run(kind(name="loss", weights=[0, 0, 0], bottoms=BOTH), X, CLASSES)


def test_class_weights_are_a_copy():
    weights = np.ones(3)
    layer = SoftmaxLossLayer(weights=weights, bottoms=BOTH)
    weights[0] = 5
    assert layer.weights.tolist() == [1, 1, 1]
    assert layer.copy(weights=()).weights == ()
