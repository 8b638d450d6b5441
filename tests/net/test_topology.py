"""How layers connect, and how it is told when they do not."""

import itertools

import numpy as np
import pytest

from mocha import (
    AccuracyLayer,
    ConcatLayer,
    ConfigError,
    ConvolutionLayer,
    DropoutLayer,
    ElementWiseLayer,
    IdentityLayer,
    InnerProductLayer,
    MemoryDataLayer,
    Net,
    PoolingLayer,
    ShapeError,
    SoftmaxLossLayer,
    StateError,
    TopologyError,
)
from mocha.backends import Backend
from mocha.net.topology import sorted_layers

X = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
Y = np.arange(8) % 2
DATA = MemoryDataLayer(name="data", data=[X, Y], batch_size=4)


def identity(name, bottom, top=None):
    return IdentityLayer(name=name, bottoms=[bottom], tops=[top or name])


def drop(name, bottom):
    return DropoutLayer(name=name, bottoms=[bottom])


def ip(name, bottom, top=None, **more):
    return InnerProductLayer(**{"name": name, "output_dim": 2, "bottoms": [bottom], "tops": [top or name], **more})


LOSS = SoftmaxLossLayer(name="loss", bottoms=["ip", "label"])


@pytest.fixture
def backend():
    with Backend("numpy") as backend:
        yield backend


def names(layers):
    return [layer.name for layer in sorted_layers("net", layers)]


ORDERS = [
    # what is listed, what runs
    ([DATA, identity("a", "data"), identity("b", "a")], ["data", "a", "b"]),
    ([identity("b", "a"), identity("a", "data"), DATA], ["data", "a", "b"]),
    ([DATA, identity("a", "data"), drop("d", "data")], ["data", "d", "a"]),  # in place before other readers
    ([DATA, drop("d2", "data"), identity("a", "data"), drop("d1", "data")], ["data", "d2", "d1", "a"]),
    ([DATA, identity("a", "data"), identity("b", "a"), drop("d", "a"), identity("c", "data")],
     ["data", "a", "c", "d", "b"]),
    ([DATA, identity("c", "data"), identity("a", "data"), identity("b", "data")], ["data", "c", "a", "b"]),
    ([LOSS, ip("ip", "data"), DATA], ["data", "ip", "loss"]),
]  # fmt: skip


@pytest.mark.parametrize(("listed", "expected"), ORDERS)
def test_running_order(listed, expected):
    assert names(listed) == expected


def test_any_order_of_the_list_will_do(backend):
    layers = [DATA, identity("a", "data"), ip("b", "a"), drop("d", "b"), ip("ip", "b"), LOSS]
    results = set()
    for shuffled in itertools.islice(itertools.permutations(layers), 0, None, 97):
        net = Net("net", backend, list(shuffled))
        assert [layer.name for layer in net.layers] == ["data", "a", "b", "d", "ip", "loss"]
        results.add(net.forward())
    assert len(results) == 1


ERRORS = [
    ([DATA, identity("a", "data", "x"), identity("b", "data", "x")], "blob 'x' is made by both 'a' and 'b'"),
    ([DATA, identity("a", "dta")], "layer 'a' needs the blob 'dta', which no layer makes. Did you mean 'data'?"),
    ([DATA, drop("d", "qqqqq")], "layer 'd' needs the blob 'qqqqq', which no layer makes. Known: data, label."),
    ([identity("a", "data")], "needs the blob 'data', which no layer makes"),
    ([DATA, ConcatLayer(name="a", bottoms=["data", "b"], tops=["a"]), identity("b", "a")],
     "the layers 'a', 'b' wait for each other's blobs in a circle"),
    ([DATA, identity("a", "a")], "'a' wait for each other's blobs in a circle"),
    ([DATA, "conv"], "'conv' is not a layer; expected a list of layers"),
    ([DATA, IdentityLayer], "is not a layer"),
    ([DATA, ip("ip", "data"), ip("ip", "data", "other")], "two layers are named 'ip'"),
    ([DATA, ip("same", "data"), identity("same", "data", "other")], "two layers are named 'same'"),
    ([DATA, ip("ip", "data"), LOSS, LOSS], "two layers are named 'loss'"),
    ([DATA, ip("ip", "data"), *[AccuracyLayer(bottoms=["ip", "label"])] * 2], "two layers are named 'accuracy'"),
    ([DATA, DATA.copy(tops=["x", "y"])], "the data layers are named data, data; expected distinct names"),
    ([DATA, MemoryDataLayer(name="more", data=[X.astype(np.float64)], tops=["x"], batch_size=4)],
     "give float32, float64; expected one type"),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "told"), ERRORS, ids=[told[:40] for _, told in ERRORS])
def test_topology_errors(backend, layers, told):
    with pytest.raises(TopologyError) as error:
        Net("mine", backend, layers)
    assert str(error.value).startswith("net 'mine'")
    assert told in str(error.value)


def test_names_of_layers_without_anything_to_keep_may_repeat(backend):
    net = Net("net", backend, [DATA, identity("same", "data", "x"), identity("same", "x", "y")])
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"], net.blobs["data"])


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (ConvolutionLayer(name="conv", bottoms=["data"], tops=["x"]), "layer 'conv': bottoms are 4x3 float32"),
        (PoolingLayer(name="pool", bottoms=["data"], tops=["x"]), "layer 'pool': MaxPooling"),
        (ElementWiseLayer(name="add", bottoms=["data", "label"], tops=["x"]), "layer 'add': Add"),
        (SoftmaxLossLayer(name="cost", dim=2, bottoms=["data", "label"]), "layer 'cost': SoftmaxLoss: axis 2"),
    ],
)
def test_shape_errors_name_the_layer(backend, layer, told):
    with pytest.raises(ShapeError) as error:
        Net("net", backend, [DATA, layer])
    assert told in str(error.value)
    assert list(backend.registry) == []


def test_a_wrong_seed(backend, monkeypatch):
    for seed in (-1, 2**32, "x", 1.5):
        with pytest.raises(ConfigError, match="seed is"):
            Net("net", backend, [DATA], seed=seed)
    monkeypatch.setenv("MOCHA_SEED", "many")
    with pytest.raises(ConfigError, match="MOCHA_SEED is 'many'"):
        Net("net", backend, [DATA])


def test_seed_from_the_environment(monkeypatch):
    def weights(seed=None):
        with Backend("numpy") as backend, Net("net", backend, [DATA, ip("ip", "data")], seed=seed) as net:
            return net.params["ip"]["weight"], net.seed

    monkeypatch.delenv("MOCHA_SEED", raising=False)
    default, number = weights()
    assert number == 12345678
    monkeypatch.setenv("MOCHA_SEED", "77")
    other, number = weights()
    assert number == 77
    assert np.all(other != default)
    np.testing.assert_array_equal(other, weights(77)[0])
    assert np.all(weights(78)[0] != other)


def test_in_place_layers_make_new_versions_of_a_blob(backend):
    before, after = ip("before", "data"), ip("ip", "before")
    layers = [DATA, before, drop("d", "before"), identity("seen", "before"), after, LOSS]
    net = Net("net", backend, layers)
    net.forward()
    np.testing.assert_array_equal(net.blobs["before"], net.blobs["seen"])
    assert np.any(net.blobs["before"] == 0)


def test_a_net_on_a_backend_that_was_shut_down():
    backend = Backend("numpy")
    backend.shutdown()
    with pytest.raises(StateError, match="net 'late': backend 'numpy' was shut down"):
        Net("late", backend, [DATA])
