"""Parameters of a net: sharing, freezing, reading and writing."""

import logging

import numpy as np
import pytest

from mocha import (
    ConstantInitializer,
    GaussianInitializer,
    InnerProductLayer,
    L2Regu,
    MemoryDataLayer,
    Net,
    NoRegu,
    ShapeError,
    SquareLossLayer,
    StateError,
)
from mocha.backends import Backend

RNG = np.random.default_rng(1)
X = RNG.standard_normal((6, 3))
T = RNG.standard_normal((6, 3))
SOME = GaussianInitializer(0, 0.5)


def data(dtype=np.float64, **more):
    return MemoryDataLayer(name="data", data=[X.astype(dtype), T.astype(dtype)], tops=["x", "t"], batch_size=6, **more)


def ip(name, bottom, **more):
    return InnerProductLayer(**{"name": name, "output_dim": 3, "weight_init": SOME, "bottoms": [bottom],
                                "tops": [name], **more})  # fmt: skip


def loss(bottom):
    return SquareLossLayer(name="loss", bottoms=[bottom, "t"])


@pytest.fixture
def backend():
    with Backend("numpy") as backend:
        yield backend


def test_sharers_in_a_net_sum_their_gradients(backend):
    layers = [data(), ip("a", "x", param_key="w"), ip("b", "a", param_key="w"), ip("c", "b", param_key="w"), loss("c")]
    net = Net("net", backend, layers)
    assert [p.key for p in net.parameters] == ["w___weight", "w___bias"]
    net.forward_backward()
    found = {key: net.gradients[key] for key in ("w___weight", "w___bias")}
    for key, name in (("w___weight", "weight"), ("w___bias", "bias")):
        values = net.params["a"][name]
        for place in np.ndindex(values.shape):
            moved = []
            for step in (1e-5, -1e-5):
                changed = values.copy()
                changed[place] += step
                net.params["b"][name] = changed
                moved.append(net.forward())
            net.params["c"][name] = values
            assert found[key][place] == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-6, abs=1e-8)


def test_several_bottoms_sum_their_gradients_as_sharers_do(backend):
    both = InnerProductLayer(name="w", output_dim=3, bottoms=["x", "t"], tops=["a", "b"])
    one = Net("one", backend, [data(), both, SquareLossLayer(bottoms=["a", "b"])])
    two = Net("two", backend, [data(), ip("p", "x", param_key="w"), ip("q", "t", param_key="w"),
                               SquareLossLayer(bottoms=["p", "q"])])  # fmt: skip
    assert one.forward_backward() == two.forward_backward()
    np.testing.assert_allclose(one.gradients["w___weight"], two.gradients["w___weight"], rtol=1e-12)
    np.testing.assert_allclose(one.gradients["w___bias"], two.gradients["w___bias"], rtol=1e-12, atol=1e-15)


def test_one_bottom_twice_through_one_layer(backend):
    twice = InnerProductLayer(name="w", output_dim=3, bottoms=["x", "x"], tops=["a", "b"])
    net = Net("net", backend, [data(), twice, SquareLossLayer(name="l1", bottoms=["a", "t"]),
                               SquareLossLayer(name="l2", bottoms=["b", "t"])])  # fmt: skip
    single = Net("single", backend, [data(), ip("w", "x"), loss("w")])
    net.forward_backward(), single.forward_backward()
    np.testing.assert_allclose(net.gradients["w___weight"], 2 * single.gradients["w___weight"])


@pytest.mark.parametrize("validation_first", [False, True])
def test_the_order_of_making_nets_does_not_matter(validation_first):
    def weights(first):
        with Backend("numpy") as backend:
            layers = [data(), ip("a", "x"), ip("b", "a"), loss("b")]
            nets = {}
            for name in ("test", "train") if first else ("train", "test"):
                nets[name] = Net(name, backend, layers, seed=3)
            nets["test" if first else "train"].init()
            nets["train"].init(), nets["test"].init()
            assert nets["train"].params["a"]["weight"] is not nets["test"].params["a"]["weight"]
            np.testing.assert_array_equal(nets["train"].params["b"]["weight"], nets["test"].params["b"]["weight"])
            return [nets["train"].params[layer]["weight"] for layer in ("a", "b")]

    for mine, expected in zip(weights(validation_first), weights(False), strict=True):
        np.testing.assert_array_equal(mine, expected)
    assert np.any(weights(False)[0] != weights(False)[1])  # each parameter has numbers of its own


def test_nets_share_by_name_on_one_backend_only(backend):
    train, test = (Net(name, backend, [data(), ip("a", "x"), loss("a")]) for name in ("train", "test"))
    train.params["a"]["weight"] = np.eye(3)
    np.testing.assert_array_equal(test.params["a"]["weight"], np.eye(3))
    with Backend("numpy") as other:
        assert np.any(Net("train", other, [data(), ip("a", "x")]).params["a"]["weight"] != np.eye(3))


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([data(), ip("a", "x", output_dim=4)], r"layer 'a': .* \(weight 3x3 float64, bias 3 float64\), which do not"),
        ([data(), ip("a", "x", bias_term=False)], "layer 'a': .* fit this layer .*weight 3x3 float64"),
        ([data(np.float32), ip("a", "x")], "layer 'a': .* float32"),
        ([data(), ip("other", "x", output_dim=1, param_key="a")], "layer 'other': .* key 'a'"),
    ],
)
def test_what_does_not_fit_cannot_be_shared(backend, layers, told):
    Net("first", backend, [data(), ip("a", "x")])
    with pytest.raises(ShapeError, match=told):
        Net("second", backend, layers)


def test_sharers_with_other_settings_are_warned(backend, caplog):
    with caplog.at_level(logging.WARNING, "mocha"):
        net = Net("net", backend, [data(), ip("a", "x"), ip("b", "x", param_key="a", weight_regu=NoRegu())])
    assert "layer 'b' shares a___weight" in caplog.text
    assert net.parameters[0].about.regularizer == L2Regu(1.0)


# -- reading and writing


def test_params_read_copies_and_can_be_assigned(backend):
    net = Net("net", backend, [data(), ip("a", "x", bias_init=ConstantInitializer(2.0))])
    assert list(net.params) == ["a"]
    assert (list(net.params["a"]), len(net.params), len(net.params["a"])) == (["weight", "bias"], 1, 2)
    np.testing.assert_array_equal(net.params["a"]["bias"], [2, 2, 2])
    net.params["a"]["bias"][:] = 9
    np.testing.assert_array_equal(net.params["a"]["bias"], [2, 2, 2])
    net.params["a"]["bias"] = [1, 2, 3]
    np.testing.assert_array_equal(net.params["a"]["bias"], [1, 2, 3])
    assert net.params["a"]["bias"].dtype == np.float64
    net.init()  # does not touch what has values
    net.forward()
    np.testing.assert_allclose(net.blobs["a"], X @ net.params["a"]["weight"].T + [1, 2, 3])


def test_assigning_before_the_first_run_holds(backend):
    net = Net("net", backend, [data(np.float32), ip("a", "x")])
    net.params["a"]["weight"] = np.eye(3)
    net.forward()
    np.testing.assert_array_equal(net.params["a"]["weight"], np.eye(3, dtype=np.float32))


def test_params_that_are_not_there(backend):
    net = Net("net", backend, [data(), ip("conv", "x"), loss("conv")])
    with pytest.raises(StateError, match=r"net 'net' has no layer 'cnv' with parameters. Did you mean 'conv'"):
        net.params["cnv"]
    with pytest.raises(StateError, match="has no layer 'loss' with parameters"):
        net.params["loss"]
    with pytest.raises(StateError, match=r"layer 'conv' has no parameter 'wieght'. Did you mean 'weight'"):
        net.params["conv"]["wieght"]
    with pytest.raises(StateError, match="no parameter 'filter'"):
        net.params["conv"]["filter"] = np.zeros((3, 3))
    with pytest.raises(ShapeError, match=r"parameter conv___weight: .* shape \(9,\); expected \(3, 3\)"):
        net.params["conv"]["weight"] = np.zeros(9)


# -- freezing


def test_a_frozen_layer_has_no_gradient(backend):
    net = Net("net", backend, [data(), ip("a", "x"), ip("b", "a"), ip("c", "b"), loss("c")])
    net.forward_backward()
    everything, nodes = dict(net.gradients), len(net.program.nodes)
    net.freeze("b")
    assert [net.is_frozen(name) for name in "abc"] == [False, True, False]
    net.forward_backward()
    assert set(everything) - set(net.gradients) == {"b___weight", "b___bias"}
    for name in net.gradients:  # the others are as before
        np.testing.assert_array_equal(net.gradients[name], everything[name])
    net.freeze("a")  # nothing below needs a gradient now
    net.forward_backward()
    assert len(net.program.nodes) < nodes
    assert set(net.gradients) == {"c", "c___weight", "c___bias"}
    net.unfreeze("a", "b")
    net.forward_backward()
    assert set(net.gradients) == set(everything)


def test_freeze_all_and_unfreeze_all(backend):
    net = Net("net", backend, [data(), ip("a", "x"), loss("a")])
    net.freeze_all()
    net.forward_backward()
    assert set(net.gradients) == set()
    assert net.trainable() == []
    net.unfreeze_all()
    assert len(net.trainable()) == 2


def test_a_parameter_is_frozen_if_one_of_its_sharers_is(backend):
    net = Net("net", backend, [data(), ip("a", "x"), ip("b", "a", param_key="a"), loss("b")])
    net.freeze("b")
    assert net.trainable() == []


def test_freezing_is_the_nets_own(backend):
    first, second = (Net(name, backend, [data(), ip("a", "x"), loss("a")]) for name in "ab")
    first.freeze("a")
    assert not second.is_frozen("a")


def test_freezing_a_layer_without_parameters_is_no_harm(backend):
    net = Net("net", backend, [data(), ip("a", "x"), loss("a")])
    net.freeze("loss", "data")
    net.forward_backward()
    assert "a___weight" in net.gradients
