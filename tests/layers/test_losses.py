"""Losses and measures in whole nets: values by plain NumPy, gradients by differences, and both backends."""

import numpy as np
import pytest
from tests.layers.test_gradients import check_net, numbers

from mocha import (
    BackendUnavailable,
    BinaryAccuracyLayer,
    BinaryCrossEntropyLossLayer,
    ConfigError,
    FormatError,
    GaussianKLLossLayer,
    HingeLossLayer,
    Initializer,
    InnerProductLayer,
    MemoryDataLayer,
    MultinomialLogisticLossLayer,
    Net,
    ShapeError,
    SoftlabelSoftmaxLossLayer,
    SoftmaxLayer,
    SoftmaxLossLayer,
    SquareLossLayer,
    WassersteinLossLayer,
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


# -- soft labels


SOFT = RNG.uniform(0, 1, (2, 3, 2, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("unit", [True, False], ids=["distributions", "any sum"])
def test_softlabel_softmax_loss(backend, dtype, dim, unit):
    y = SOFT / SOFT.sum(axis=dim, keepdims=True) if unit else SOFT
    layer = SoftlabelSoftmaxLossLayer(weight=0.5, dim=dim, bottoms=BOTH)
    loss, (dx, dy), _ = run(layer, IMAGE.astype(dtype), y.astype(dtype), backend)
    p, positions = softmax(IMAGE, dim), IMAGE.size / IMAGE.shape[dim]
    assert loss == pytest.approx(-0.5 / positions * np.sum(y * np.log(p)), rel=1e-5)
    np.testing.assert_allclose(dx, 0.5 / positions * (p * y.sum(axis=dim, keepdims=True) - y), rtol=1e-4, atol=1e-7)
    assert dy is None


def test_softlabel_softmax_loss_by_differences():
    layer = SoftlabelSoftmaxLossLayer(weight=0.7, bottoms=BOTH)
    found, _ = check_net([layer], {"x": IMAGE, "label": SOFT})
    assert set(found) == {"x"}


def test_softlabel_loss_of_hard_labels_is_softmax_loss(backend):
    k = CLASSES.astype(int)
    hard = run(SoftmaxLossLayer(bottoms=BOTH), X, CLASSES, backend)
    soft = run(SoftlabelSoftmaxLossLayer(bottoms=BOTH), X, np.eye(3)[k], backend)
    assert soft[0] == pytest.approx(hard[0], rel=1e-12)
    np.testing.assert_allclose(soft[1][0], hard[1][0], rtol=1e-12, atol=1e-15)


def test_an_impossible_class_without_a_label_costs_nothing(backend):
    x, y = np.array([[0.0, -np.inf, 0.0]]), np.array([[0.5, 0.0, 0.5]])
    loss, (dx, _), _ = run(SoftlabelSoftmaxLossLayer(bottoms=BOTH), x, y, backend)
    assert loss == pytest.approx(np.log(2))
    np.testing.assert_allclose(dx, 0, atol=1e-15)


# -- pairs of elements

SIGNS = np.array([1.0, -1, -1, 1, 1])
UNIT = RNG.uniform(0.1, 0.9, (3, 5))
SIGMA = RNG.uniform(0.3, 2, (3, 5))
SCORES = np.array([[0.3, 2, -0.5, -3, 0.4], [-2, -2, 0.7, 1.5, 0.1], [0.2, 0.4, -4, -0.2, 5]])


class Same(Initializer):
    """The identity, so that a layer gives what it gets and yet can learn."""

    def values(self, shape, draw):
        return np.eye(*shape)


def entropy(p, y):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


# layer, both bottoms, the sum of the loss over all elements, its derivatives, the statistic
PAIRS = {
    "binary cross entropy": (
        BinaryCrossEntropyLossLayer, UNIT, UNIT[::-1] ** 2, entropy,
        lambda p, y: -(y / p - (1 - y) / (1 - p)), lambda p, y: -np.log(p / (1 - p)),
        "loss-binary-cross-entropy-loss",
    ),
    "hinge": (
        HingeLossLayer, SCORES, np.tile(SIGNS, (3, 1)), lambda x, y: np.maximum(0, 1 - x * y),
        lambda x, y: -y * (x * y < 1), lambda x, y: -x * (x * y < 1), "loss-hinge-loss",
    ),
    "Gaussian": (
        GaussianKLLossLayer, numbers(3, 5), SIGMA, lambda m, s: (m**2 + s**2 - 2 * np.log(s) - 1) / 2,
        lambda m, s: m, lambda m, s: s - 1 / s, "loss-encoder-loss",
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("rank", [(3, 5), (3, 5, 1, 1)], ids=["same rank", "other rank"])
def test_pairs(backend, pair, rank, dtype):
    kind, a, b, terms, da, db, statistic = PAIRS[pair]
    layer = kind(name="loss", weight=0.6, bottoms=BOTH)
    loss, found, statistics = run(layer, a.astype(dtype), b.reshape(rank).astype(dtype), backend)
    expected = 0.6 / 3 * np.sum(terms(a, b))
    assert loss == pytest.approx(expected, rel=1e-5 if dtype is np.float32 else 1e-12)
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype is np.float32 else {"rtol": 1e-11, "atol": 1e-14}
    np.testing.assert_allclose(found[0], 0.6 / 3 * da(a, b), **close)
    np.testing.assert_allclose(found[1], 0.6 / 3 * db(a, b).reshape(rank), **close)
    assert statistics == {statistic: pytest.approx(float(loss))}


@pytest.mark.parametrize("pair", PAIRS)
def test_pairs_by_differences(pair):
    kind, a, b, *_ = PAIRS[pair]
    found, _ = check_net([kind(weight=0.6, bottoms=BOTH)], {"x": a, "label": b})
    assert set(found) == {"x", "label"}


@pytest.mark.parametrize("pair", [*PAIRS, "square"])
@pytest.mark.parametrize("which", [0, 1], ids=["the first", "the second"])
def test_pairs_of_which_one_can_learn(backend, pair, which):
    kind, a, b, _, *slopes, _ = PAIRS.get(pair, (SquareLossLayer, UNIT, SIGMA, None, lambda a, b: a - b,
                                                lambda a, b: b - a, None))  # fmt: skip
    tops = ["a", "b"]
    data = MemoryDataLayer(data=[a, b], tops=tops, batch_size=3)
    between = InnerProductLayer(name="ip", output_dim=5, weight_init=Same(), bottoms=[tops[which]], tops=["y"])
    bottoms = ["y", "b"] if which == 0 else ["a", "y"]
    with Backend(backend) as made, Net("one", made, [data, between, kind(name="loss", bottoms=bottoms)]) as net:
        net.forward_backward()
        slope = slopes[which](a, b) / 3
        np.testing.assert_allclose(net.gradients["ip___bias"], slope.sum(axis=0), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(net.gradients["ip___weight"], slope.T @ (a, b)[which], rtol=1e-10, atol=1e-13)


def test_clipped_logarithms(backend):
    p, y = np.array([[0.0, 1.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 1.0, 0.0]])
    loss, (dp, dy), _ = run(BinaryCrossEntropyLossLayer(bottoms=BOTH), p, y, backend)
    assert loss == pytest.approx(-2 * np.log(1e-20))
    np.testing.assert_allclose(dp, [[-1e20, 1e20, -1, 1]])
    np.testing.assert_allclose(dy, np.log(1e20) * np.array([[1, -1, -1, 1]]))
    loss, (_, dsigma), _ = run(GaussianKLLossLayer(bottoms=BOTH), np.zeros((1, 1)), np.zeros((1, 1)), backend)
    assert loss == pytest.approx(-np.log(1e-20) - 0.5)
    np.testing.assert_allclose(dsigma, [[-1e20]])


def test_gaussian_kl_loss_is_zero_at_the_standard_normal(backend):
    layer = GaussianKLLossLayer()
    assert layer.bottoms == ("mu", "sigma")
    loss, found, _ = run(layer, np.zeros((2, 3)), np.ones((2, 3)), backend)
    assert loss == 0
    assert not np.any(found)


@pytest.mark.parametrize("kind", [BinaryCrossEntropyLossLayer, HingeLossLayer, GaussianKLLossLayer])
def test_pairs_of_other_sizes(kind):
    with pytest.raises(ShapeError, match=r"layer 'loss': .* 3x5 float64 and 3x4 float64; expected the same examples"):
        run(kind(name="loss", bottoms=BOTH), UNIT, UNIT[:, :4])


def test_soft_labels_of_another_shape():
    with pytest.raises(ShapeError, match=r"layer 'loss': .* input 2 is 4 float64, but input 1 is 4x3 float64"):
        run(SoftlabelSoftmaxLossLayer(name="loss", bottoms=BOTH), X, CLASSES)


# -- binary accuracy


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8])
def test_binary_accuracy(backend, dtype):
    x = np.array([[0.2, 0.5], [0.7, 0.9], [0.51, 0.1]])
    bits = np.array([[0, 1], [1, 1], [0, 0]], dtype)
    layer = BinaryAccuracyLayer(name="acc", threshold=0.5, report_error=True, bottoms=BOTH)
    data = MemoryDataLayer(data=[x, bits], tops=BOTH, batch_size=3)
    with Backend(backend) as made, Net("binary", made, [data, layer]) as net:
        # 0.5 is not above 0.5, and 0.51 is: two are wrong
        assert net.forward_epoch() == {"acc-accuracy": pytest.approx(4 / 6), "acc-error": pytest.approx(2 / 6)}
        assert net.statistics_text() == ["acc: accuracy (avg over 6) = 66.6667%"]


def test_binary_accuracy_of_signs(backend):
    layer = BinaryAccuracyLayer(bottoms=BOTH)
    found = run_measure(layer, np.array([[0.1], [-0.1], [0.0], [3.0]]), np.array([1.0, 1, -1, 1]), backend)
    assert found == {"binary-accuracy-accuracy": 0.75}


def run_measure(layer, x, label, backend):
    data = MemoryDataLayer(data=[x, label], tops=BOTH, batch_size=len(x))
    with Backend(backend) as made, Net("measure", made, [data, layer]) as net:
        return net.forward_epoch()


def test_binary_accuracy_that_cannot_be():
    for wrong in (np.nan, np.inf, "half", None, True):
        with pytest.raises(ConfigError, match=r"\('binary-accuracy'\): threshold is .* finite number"):
            BinaryAccuracyLayer(threshold=wrong, bottoms=BOTH)
    with pytest.raises(ShapeError, match=r"layer 'acc': .* 4x3 float64 and labels 4 float64; expected as many of each"):
        run_measure(BinaryAccuracyLayer(name="acc", bottoms=BOTH), X, CLASSES, "numpy")


# -- transport


def plan(a, b, metric, sharpness, iterations):
    """Sinkhorn's iteration for one example: the plan and u."""
    k, u = np.exp(-sharpness * metric), np.full(len(a), 1 / len(a))
    for _ in range(iterations):
        u = a / (k @ (b / (k.T @ u)))
    return u[:, None] * k * (b / (k.T @ u)), u


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wasserstein_loss(backend, dtype):
    a, b = RNG.dirichlet(np.ones(5), 4), RNG.dirichlet(np.ones(3), 4)
    metric = np.abs(np.subtract.outer(np.arange(5.0), 2 * np.arange(3.0)))
    layer = WassersteinLossLayer(name="loss", M=metric, lambda_=2.0, sinkhorn_iter=30, bottoms=BOTH)
    loss, (da, db), _ = run(layer, a.astype(dtype), b.astype(dtype), backend)
    plans = [plan(x, y, metric, 2.0, 30) for x, y in zip(a, b, strict=True)]
    close = 1e-5 if dtype is np.float32 else 1e-11
    assert loss == pytest.approx(sum(np.sum(t * metric) for t, _ in plans) / 4, rel=close)
    np.testing.assert_allclose(da, [np.log(u) / (2 * 4) for _, u in plans], rtol=10 * close, atol=close)
    assert db is None


def test_training_on_the_wasserstein_loss_moves_mass(backend):
    metric = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
    x, y = np.eye(5), np.eye(5)[::-1] * 0.8 + 0.04
    layers = [InnerProductLayer(name="ip", output_dim=5, bottoms=["x"], tops=["score"]),
              SoftmaxLayer(bottoms=["score"], tops=["p"]),
              WassersteinLossLayer(M=metric, lambda_=5.0, bottoms=["p", "label"])]  # fmt: skip
    data = MemoryDataLayer(data=[x, y], tops=BOTH, batch_size=5)
    with Backend(backend) as made, Net("moving", made, [data, *layers], seed=1) as net:
        before = net.forward_backward()
        for _ in range(300):
            weight = made.store.read("ip___weight")
            made.store.write("ip___weight", weight - 2.0 * net.gradients["ip___weight"])
            after = net.forward_backward()
        assert after < 0.2 * before
        assert net.blobs["p"].argmax(axis=1).tolist() == [4, 3, 2, 1, 0]


def test_distributions_that_do_not_fit_the_metric():
    layer = WassersteinLossLayer(name="loss", M=np.ones((3, 2)), lambda_=1.0, bottoms=BOTH)
    with pytest.raises(ShapeError, match=r"layer 'loss': .* metric of 3x2; expected as many examples of 3 and of 2"):
        run(layer, X, X)
