"""The decoder with its encoder's weight: values, both gradients, and where the encoder may be; on both backends."""

import numpy as np
import pytest

from mocha import (
    SGD,
    ConfigError,
    ConvolutionLayer,
    GaussianInitializer,
    InnerProductLayer,
    L2Regu,
    LRPolicy,
    MemoryDataLayer,
    Net,
    Neurons,
    NoRegu,
    ShapeError,
    Solver,
    SquareLossLayer,
    TiedInnerProductLayer,
    TopologyError,
    load_network,
    make_solver_parameters,
    save_network,
)

RNG = np.random.default_rng(0)
X, H = RNG.standard_normal((9, 2, 3)), RNG.standard_normal((9, 4))
SOME = GaussianInitializer(0.1, 0.5)


def encoder(**more):
    about = {"name": "enc", "output_dim": 4, "weight_init": SOME, "bias_init": SOME, "bottoms": ["x"], "tops": ["code"]}
    return InnerProductLayer(**{**about, **more})


def decoder(**more):
    about = {"name": "dec", "tied_param_key": "enc", "bias_init": SOME, "bottoms": ["code"], "tops": ["y"]}
    return TiedInnerProductLayer(**{**about, **more})


LOSS = SquareLossLayer(bottoms=["y", "x"])


@pytest.mark.parametrize("neuron", [Neurons.Identity(), Neurons.Sigmoid()])
@pytest.mark.parametrize("order", [1, -1])
def test_values(net_of, neuron, order):
    layers = [encoder(), decoder(neuron=neuron, bottoms=["h", "code"], tops=["z", "y"])][::order]
    net = net_of({"x": X, "h": H}, *layers)
    net.forward()
    w, b = net.params["enc"]["weight"], net.params["dec"]["bias"]
    assert (w.shape, b.shape, list(net.params["dec"])) == ((4, 6), (6,), ["bias"])
    for bottom, top in (("h", "z"), ("code", "y")):
        y = net.blobs[bottom] @ w + b
        expected = y if neuron == Neurons.Identity() else 1 / (1 + np.exp(-y))
        np.testing.assert_allclose(net.blobs[top], expected, rtol=1e-12)
    net.params["enc"]["weight"] = 2 * w
    net.forward(phase="test")
    np.testing.assert_allclose(net.params["enc"]["weight"], 2 * w)
    if neuron == Neurons.Identity():
        np.testing.assert_allclose(net.blobs["z"], H @ (2 * w) + b, rtol=1e-12)


@pytest.mark.parametrize("tied_gradient", [False, True])
def test_which_way_the_weight_learns(net_of, tied_gradient):
    net = net_of({"x": X}, encoder(), decoder(tied_gradient=tied_gradient), LOSS)
    net.forward_backward()
    w, x, code = net.params["enc"]["weight"], X.reshape(9, 6), net.blobs["code"]
    dy = (net.blobs["y"] - x) / 9
    np.testing.assert_allclose(net.gradients["code"], dy @ w.T, rtol=1e-10)
    np.testing.assert_allclose(net.gradients["dec___bias"], dy.sum(axis=0), rtol=1e-10)
    expected = (dy @ w.T).T @ x + (code.T @ dy if tied_gradient else 0)
    np.testing.assert_allclose(net.gradients["enc___weight"], expected, rtol=1e-10)


def test_a_decoder_before_its_encoder_in_the_stream(net_of):
    """The decoder reads data, so that only the loan tells that the encoder comes first."""
    net = net_of({"h": H, "x": X}, decoder(bottoms=["h"]), encoder())
    assert [layer.name for layer in net.layers] == ["memory-data", "enc", "dec"]
    net.forward()
    np.testing.assert_allclose(net.blobs["y"], H @ net.params["enc"]["weight"] + net.params["dec"]["bias"], rtol=1e-12)


def test_an_encoder_of_another_net(net_of):
    first = net_of({"x": X}, encoder(param_key="shared"))
    net = net_of({"h": H}, decoder(tied_param_key="shared", bottoms=["h"]))
    net.forward()  # gives the weight its first values, for the encoder's net has not run
    w = first.params["enc"]["weight"]
    assert np.ptp(w) > 0.5
    np.testing.assert_allclose(net.blobs["y"], H @ w + net.params["dec"]["bias"], rtol=1e-12)
    first.forward()
    np.testing.assert_array_equal(first.params["enc"]["weight"], w)
    assert [p.key for p in net.parameters] == ["dec___bias"]


def solved(net, steps=3):
    params = make_solver_parameters(SGD(), max_iter=steps, lr_policy=LRPolicy.Fixed(0.1), regu_coef=0.1)
    Solver(SGD(), params).solve(net)


@pytest.mark.parametrize("tied_gradient", [False, True])
def test_training_with_the_encoder_in_another_net(net_of, tmp_path, tied_gradient):
    first = net_of({"x": X}, encoder(weight_regu=L2Regu(1)))
    first.forward()
    before = first.params["enc"]["weight"]
    layers = [decoder(tied_gradient=tied_gradient, bottoms=["h"]), LOSS]
    net = net_of({"h": H, "x": X}, *layers)
    solved(net)
    after = first.params["enc"]["weight"]
    assert np.array_equal(before, after) == (not tied_gradient)  # not even decayed
    assert set(net.params["dec"]) == ({"bias", "weight"} if tied_gradient else {"bias"})
    if not tied_gradient:
        return
    save_network(tmp_path / "net.h5", net)
    net.freeze("dec")
    assert net.trainable() == []
    first.params["enc"]["weight"] = before
    load_network(tmp_path / "net.h5", net)
    np.testing.assert_array_equal(first.params["enc"]["weight"], after)


def test_an_autoencoder_learns_with_the_true_gradient(net_of):
    net = net_of(
        {"x": X},
        encoder(output_dim=6, weight_regu=NoRegu()),
        decoder(tied_gradient=True),
        LOSS,
    )
    start = net.forward()
    solved(net, 200)
    assert net.forward() < 0.05 * start


def test_freezing_the_encoder_holds_the_weight(net_of):
    net = net_of({"x": X}, encoder(), decoder(tied_gradient=True), LOSS)
    net.freeze("enc")
    net.forward_backward()
    assert "enc___weight" not in net.gradients
    net.unfreeze("enc")
    net.freeze("dec")  # its bias, not what it borrows from a layer that learns
    assert [p.key for p in net.trainable()] == ["enc___weight", "enc___bias"]


def test_a_decoder_without_bias(net_of):
    net = net_of({"x": X}, encoder(), decoder(bias_term=False))
    net.forward()
    np.testing.assert_allclose(net.blobs["y"], net.blobs["code"] @ net.params["enc"]["weight"], rtol=1e-12)
    assert list(net.params) == ["enc"]


def test_what_does_not_fit(net_of):
    with pytest.raises(ConfigError, match=r"layer 'dec': the backend holds no weight under the key 'enk'; expected a "):
        net_of({"x": X}, encoder(name="one"), decoder(tied_param_key="enk"))
    with pytest.raises(ConfigError, match="Did you mean 'one'"):
        net_of({"x": X}, encoder(name="one"), decoder(tied_param_key="on"))
    conv = ConvolutionLayer(name="conv", bottoms=["image"], tops=["code"])
    with pytest.raises(ConfigError, match="holds no weight under the key 'conv'"):
        net_of({"image": np.ones((2, 1, 3, 3))}, conv, decoder(tied_param_key="conv"))
    with pytest.raises(ShapeError, match=r"layer 'dec': bottoms are 9x2x3 float64, the weight of 'two' is 4x6 float64"):
        net_of({"x": X}, encoder(name="two"), decoder(tied_param_key="two", bottoms=["x"]))


def test_a_loan_in_a_circle(net_of):
    with pytest.raises(TopologyError, match=r"'dec', 'enc' wait for each other's blobs in a circle \(or for param"):
        net_of({"h": H}, decoder(bottoms=["h"]), encoder(bottoms=["y"], tops=["z"]))


def test_the_encoder_of_a_bystander_is_not_waited_for(backend):
    """A layer of the key's name without parameters lends nothing."""
    data = MemoryDataLayer(name="enc", data=[H], tops=["h"], batch_size=9)
    with pytest.raises(ConfigError, match="holds no weight under the key 'enc'"):
        Net("net", backend, [data, decoder(bottoms=["h"])])
