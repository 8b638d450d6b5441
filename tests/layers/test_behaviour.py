"""What layers do that a gradient does not show: dropout, measures, pooling, errors of layers of one's own."""

import numpy as np
import pytest

from mocha import (
    AccuracyLayer,
    DropoutLayer,
    FormatError,
    IdentityLayer,
    InnerProductLayer,
    Layer,
    LRNLayer,
    LRNMode,
    MemoryDataLayer,
    MochaError,
    Net,
    Pooling,
    PoolingLayer,
    ReshapeLayer,
    SoftmaxLayer,
    SoftmaxLossLayer,
    SquareLossLayer,
    ops,
)
from mocha.backends import Backend


@pytest.fixture
def net_of():
    """Makes a net of some layers on named arrays."""
    with Backend("numpy") as backend:

        def make(arrays, *layers, batch=None, **more):
            batch = batch or len(next(iter(arrays.values())))
            data = MemoryDataLayer(data=list(arrays.values()), tops=list(arrays), batch_size=batch)
            return Net("net", backend, [data, *layers], **more)

        yield make


ONES = np.ones((40, 50), np.float32)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("auto_scale", [True, False])
def test_dropout_drops_in_training_only(net_of, ratio, auto_scale):
    net = net_of({"x": ONES}, IdentityLayer(bottoms=["x"], tops=["y"]),
                 DropoutLayer(ratio=ratio, auto_scale=auto_scale, bottoms=["y"]))  # fmt: skip
    net.forward()
    y = net.blobs["y"]
    stays = 1 / (1 - ratio) if auto_scale else 1.0
    np.testing.assert_allclose(np.unique(y), [0, stays], rtol=1e-6)
    assert np.mean(y == 0) == pytest.approx(ratio, abs=0.05)
    np.testing.assert_array_equal(net.blobs["x"], ONES)  # the blob under the other name is not touched
    net.forward()
    assert np.any(net.blobs["y"] != y)  # another pass, another mask
    net.forward(phase="test")
    np.testing.assert_array_equal(net.blobs["y"], ONES)


def test_dropout_is_a_function_of_seed_name_and_pass(net_of):
    def mask(name="drop", seed=1, passes=1):
        net = net_of({"x": ONES}, DropoutLayer(name=name, bottoms=["x"]), seed=seed)
        for _ in range(passes):
            net.forward()
        net.forward_epoch()  # does not count: nothing is drawn in testing
        net.forward()
        return net.blobs["x"]

    np.testing.assert_array_equal(mask(), mask())
    for other in (mask(name="other"), mask(seed=2), mask(passes=2)):
        assert np.any(mask() != other)


SCORES = np.array([[0.1, 0.7, 0.2], [0.9, 0.9, 0.1], [0, 0, 1], [1, 2, 3]], np.float32)


@pytest.mark.parametrize(
    ("labels", "accuracy"),
    [([1, 0, 2, 2], 1.0), ([1, 1, 2, 0], 0.5), ([0, 1, 0, 0], 0.0), ([[1], [0], [0], [2]], 0.75)],
)
def test_accuracy_counts_the_first_of_the_largest(net_of, labels, accuracy):
    net = net_of({"x": SCORES, "label": np.array(labels)}, AccuracyLayer(name="acc", report_error=True,
                                                                         bottoms=["x", "label"]))  # fmt: skip
    assert net.forward_epoch() == {"acc-accuracy": accuracy, "acc-error": 1 - accuracy}
    assert net.statistics_text() == [f"acc: accuracy (avg over 4) = {100 * accuracy:.4f}%"]


def test_accuracy_over_another_axis(net_of):
    x = np.zeros((2, 3, 4), np.float32)
    x[:, :, 1] = 1
    labels = np.array([[1, 1, 0], [1, 2, 3]])
    net = net_of({"x": x, "label": labels}, AccuracyLayer(dim=2, bottoms=["x", "label"]))
    assert net.forward_epoch()["accuracy-accuracy"] == 0.5


def test_statistics_are_averaged_over_batches(net_of):
    labels = np.array([1, 0, 0, 0])
    net = net_of({"x": SCORES, "label": labels}, AccuracyLayer(bottoms=["x", "label"]), batch=2)
    assert net.forward_epoch() == {"accuracy-accuracy": 0.5}
    assert net.forward_epoch() == {"accuracy-accuracy": 0.5}
    assert "(avg over 8)" in net.statistics_text()[0]
    net.reset_statistics()
    assert net.statistics() == {}
    net.forward()
    assert net.statistics() == {"accuracy-accuracy": 1.0}


def test_square_loss_is_reported_too(net_of):
    x, y = np.array([[1.0], [3], [0], [0]], np.float32), np.zeros((4, 1), np.float32)
    net = net_of({"x": x, "y": y}, SquareLossLayer(weight=2, bottoms=["x", "y"]), batch=2)
    assert net.forward() == 2 * (1 + 9) / 4
    net.forward_epoch()
    assert net.statistics() == {"square-loss-square-loss": 2 * 10 / 8}
    assert net.losses() == {"square-loss": 0.0}


@pytest.mark.parametrize(("labels", "wrong"), [([0, 1, 2, 3], "3"), ([0, -1, 0, 0], "-1"), ([0, 0.5, 0, 0], "0.5")])
@pytest.mark.parametrize("kind", [SoftmaxLossLayer, AccuracyLayer])
def test_labels_that_are_no_classes(net_of, kind, labels, wrong):
    net = net_of({"x": SCORES, "label": np.array(labels)}, kind(name="measure", bottoms=["x", "label"]))
    with pytest.raises(FormatError, match=rf"layer 'measure': .* is {wrong}.*; expected a whole number from 0 to 2"):
        net.forward()


def test_values_of_the_small_layers(net_of):
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    net = net_of(
        {"x": x},
        PoolingLayer(name="max", kernel=2, stride=2, bottoms=["x"], tops=["max"]),
        PoolingLayer(name="mean", kernel=2, stride=2, pooling=Pooling.Mean(), bottoms=["x"], tops=["mean"]),
        ReshapeLayer(shape=(16,), bottoms=["x"], tops=["flat"]),
        SoftmaxLayer(bottoms=["flat"], tops=["p"]),
    )
    net.forward()
    np.testing.assert_array_equal(net.blobs["max"][0, 0], [[5, 7], [13, 15]])
    np.testing.assert_array_equal(net.blobs["mean"][0, 0], [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(net.blobs["flat"], x.reshape(1, 16))
    np.testing.assert_allclose(net.blobs["p"].sum(), 1, rtol=1e-6)


class Careless(Layer):
    """Whose lower gives what it was told to give."""

    gives: object = None
    n_tops = 1

    def lower(self, g, inputs, params):
        return {"nothing": None, "two": [*inputs, *inputs], "value": g(ops.Scale(1.0), inputs[0])}[self.gives]


@pytest.mark.parametrize(
    ("gives", "told"), [("nothing", "gave None"), ("two", "gave 2 values; expected 1"), ("value", "a list of values")]
)
def test_a_layer_of_ones_own_that_gives_something_else(net_of, gives, told):
    with pytest.raises(MochaError) as error:
        net_of({"x": SCORES}, Careless(name="own", gives=gives, bottoms=["x"], tops=["y"]))
    assert str(error.value).startswith("layer 'own': Careless.lower ")
    assert told in str(error.value)


def test_layers_of_ones_own_are_records():
    layer = Careless(name="own", bottoms=["x"], tops=["y"], gives="two")
    assert repr(layer) == "Careless(name='own', bottoms=['x'], tops=['y'], gives='two')"
    assert layer.copy(gives="value").gives == "value"
    with pytest.raises(MochaError, match=r"no property 'givs'. Did you mean 'gives'"):
        Careless(name="own", bottoms=["x"], tops=["y"], givs=1)
    with pytest.raises(TypeError, match="abstract"):
        Layer(name="a", bottoms=["x"])


def test_sharers_in_a_net_may_have_other_batches(net_of):
    net = net_of(
        {"x": np.ones((4, 6), np.float32)},
        ReshapeLayer(shape=(6,), bottoms=["x"], tops=["z"]),
        InnerProductLayer(name="ip", output_dim=2, bottoms=["x", "z"], tops=["a", "b"]),
    )
    net.forward()
    np.testing.assert_array_equal(net.blobs["a"], net.blobs["b"])


def test_lrn_across_channels_and_within_one(net_of):
    x = np.random.default_rng(0).standard_normal((2, 6, 4, 5))
    net = net_of({"x": x}, LRNLayer(kernel=3, scale=0.6, shift=2, power=0.5, bottoms=["x"], tops=["across"]),
                 LRNLayer(name="within", kernel=3, scale=0.9, mode=LRNMode.WithinChannel(), bottoms=["x"],
                          tops=["within"]))  # fmt: skip
    net.forward()
    square = np.pad(x**2, [(0, 0), (1, 1), (0, 0), (0, 0)])
    mean = (square[:, :-2] + square[:, 1:-1] + square[:, 2:]) / 3
    np.testing.assert_allclose(net.blobs["across"], x / np.sqrt(2 + 0.6 * mean), rtol=1e-12)
    square = np.pad(x**2, [(0, 0), (0, 0), (1, 1), (1, 1)])
    mean = sum(square[:, :, i : i + 4, j : j + 5] for i in range(3) for j in range(3)) / 9
    np.testing.assert_allclose(net.blobs["within"], x / (1 + 0.9 * mean) ** 0.75, rtol=1e-12)
