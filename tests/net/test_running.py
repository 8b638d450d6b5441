"""A net at work: forward, backward, blobs, gradients, feeds, phases, epochs, and what is left when it is closed."""

import numpy as np
import pytest

from mocha import (
    AccuracyLayer,
    ConfigError,
    ConvolutionLayer,
    DropoutLayer,
    InnerProductLayer,
    MemoryDataLayer,
    Net,
    Neurons,
    PoolingLayer,
    ShapeError,
    SoftmaxLossLayer,
    SquareLossLayer,
    StateError,
    TopologyError,
    registry_reset,
)
from mocha.backends import Backend

RNG = np.random.default_rng(0)
X = RNG.standard_normal((10, 1, 8, 8)).astype(np.float32)
Y = RNG.integers(0, 3, (10, 1))

CONV = ConvolutionLayer(
    name="conv", n_filter=4, kernel=3, neuron=Neurons.ReLU(), bottoms=["data"], tops=["conv"]
)  # fmt: skip
POOL = PoolingLayer(name="pool", kernel=2, stride=2, bottoms=["conv"], tops=["pool"])
IP = InnerProductLayer(name="ip", output_dim=3, bottoms=["pool"], tops=["ip"])
LOSS = SoftmaxLossLayer(name="loss", bottoms=["ip", "label"])
ACCURACY = AccuracyLayer(name="accuracy", bottoms=["ip", "label"])
DROP = DropoutLayer(name="drop", bottoms=["pool"])
NET = [CONV, POOL, DROP, IP, LOSS, ACCURACY]


def data(**changes):
    return MemoryDataLayer(**{"name": "data", "data": [X, Y], "batch_size": 5, **changes})


@pytest.fixture
def backend():
    with Backend("numpy") as backend:
        yield backend


@pytest.fixture
def net(backend):
    with Net("net", backend, [data(), *NET]) as net:
        yield net


def test_all_blobs_and_gradients_can_be_read(net):
    objective = net.forward_backward()
    assert set(net.blobs) == {"data", "label", "conv", "pool", "ip"}
    np.testing.assert_array_equal(net.blobs["data"], X[:5])
    np.testing.assert_array_equal(net.blobs["label"], Y[:5])
    assert net.blobs["conv"].shape == (5, 4, 6, 6)
    assert np.all(net.blobs["conv"] >= 0)
    parameters = {"conv___filter", "conv___bias", "ip___weight", "ip___bias"}
    assert set(net.gradients) == {"conv", "pool", "ip"} | parameters
    assert net.gradients["conv___filter"].shape == (4, 1, 3, 3)
    assert net.losses() == {"loss": pytest.approx(objective)}
    assert (len(net.blobs), "conv" in net.blobs, "loss" in net.blobs) == (5, True, False)
    # a fresh copy each time
    net.blobs["conv"][:] = 0
    assert np.any(net.blobs["conv"])
    assert net.output_blobs["ip"].shape == net.diff_blobs["ip"].shape


def test_an_unknown_blob(net):
    net.forward_backward()
    with pytest.raises(StateError, match=r"keeps no blob 'conf'. Did you mean 'conv'"):
        net.blobs["conf"]
    with pytest.raises(StateError, match="keeps no gradient 'data'"):
        net.gradients["data"]


def test_nothing_can_be_read_before_the_first_run(net):
    for ask in (lambda: net.blobs["data"], lambda: net.gradients["ip"], net.losses, lambda: list(net.blobs)):
        with pytest.raises(StateError, match=r"net 'net' has not run yet; call net.forward\(\) first"):
            ask()
    assert net.statistics() == {}


def test_gradients_before_backward(net):
    net.forward()
    with pytest.raises(StateError, match="has not been computed yet"):
        net.gradients["ip"]


def test_backward_needs_a_forward_pass_in_training(net):
    told = r"net 'net': backward\(\) needs a forward\(\) in the training phase before it"
    with pytest.raises(StateError, match=told):
        net.backward()
    net.forward(phase="test")
    with pytest.raises(StateError, match=told):
        net.backward()
    net.forward()
    net.backward()
    net.backward()  # again is no harm
    net.forward_epoch()
    with pytest.raises(StateError, match=told):
        net.backward()


def test_blobs_after_an_epoch_are_not_kept(net):
    net.forward_epoch()
    with pytest.raises(StateError, match=r"one run by hand, net.forward"):
        net.blobs["conv"]
    assert list(net.blobs) == []
    assert "loss" in net.losses()


def test_backward_twice_gives_the_same(net):
    net.forward()
    net.backward()
    first = {name: net.gradients[name] for name in net.gradients}
    net.backward()
    for name, gradient in first.items():
        np.testing.assert_array_equal(net.gradients[name], gradient)


def test_phases(net):
    assert net.forward(phase="test", feeds={"data": X[:5], "label": Y[:5]}) != net.forward(
        feeds={"data": X[:5], "label": Y[:5]}
    )
    assert net.counter == 1  # training passes only
    with pytest.raises(ConfigError, match="phase is 'testing'; expected 'train' or 'test'"):
        net.forward(phase="testing")
    with pytest.raises(ConfigError, match="phase is 'TEST'"):
        net.forward_epoch(phase="TEST")


def test_feeds_take_the_place_of_data(net):
    ones = np.ones((5, 1, 8, 8), np.float64)
    net.forward(feeds={"data": ones})
    np.testing.assert_array_equal(net.blobs["data"], ones)
    np.testing.assert_array_equal(net.blobs["label"], Y[:5])  # the other top comes from the data
    net.forward(feeds={"data": 2 * ones, "label": Y[:5]})  # nothing is taken from the data
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"], X[5:])
    net.forward(feeds={"data": ones.astype(int).tolist()})
    np.testing.assert_array_equal(net.blobs["data"], ones)
    with pytest.raises(StateError, match=r"has no input 'dat'. Did you mean 'data'"):
        net.forward(feeds={"dat": ones})
    with pytest.raises(StateError, match="has no input 'conv'"):
        net.forward(feeds={"conv": ones})
    with pytest.raises(ShapeError, match=r"input 'data': .* shape \(2, 1, 8, 8\); expected .* \(5, 1, 8, 8\)"):
        net.forward(feeds={"data": ones[:2]})


def test_fed_arrays_may_change_after_the_call(net):
    x = X[:5].copy()
    first = net.forward_backward(feeds={"data": x, "label": Y[:5]})
    gradient = net.gradients["conv___filter"]
    net.counter = 0
    assert net.forward(feeds={"data": x, "label": Y[:5]}) == first
    x[:] = 100
    net.backward()
    np.testing.assert_array_equal(net.gradients["conv___filter"], gradient)


def test_data_edited_in_place_are_seen(backend):
    x = X.copy()
    net = Net("net", backend, [data(data=[x, Y]), *NET])
    net.forward()
    x[:] = 3
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"], x[5:])


def test_force_backward(backend):
    layers = [data(data=[X, X]), SquareLossLayer(name="loss", bottoms=["data", "label"])]
    plain = Net("plain", backend, layers)
    plain.forward_backward()
    with pytest.raises(StateError, match="keeps no gradient"):
        plain.gradients["data"]
    net = Net("net", backend, [data(), *NET], force_backward=True)
    net.forward_backward()
    assert net.gradients["data"].shape == (5, 1, 8, 8)
    assert np.any(net.gradients["data"])
    assert "label" not in net.gradients


def test_epochs(net):
    assert net.epoch == 0
    net.forward()
    assert net.epoch == 0
    net.forward()
    assert net.epoch == 1
    net.forward_epoch()
    assert net.epoch == 2
    net.rewind()
    assert net.epoch == 0
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"], X[:5])


@pytest.mark.parametrize(("batch", "passes"), [(1, 10), (3, 4), (5, 2), (10, 1), (16, 1)])
def test_an_epoch_ends_with_the_last_example(backend, batch, passes):
    net = Net("net", backend, [data(batch_size=batch), *NET])
    net.forward_epoch(phase="train")
    assert net.counter == passes
    assert f"avg over {passes * batch}" in net.statistics_text()[0]


def test_two_data_layers(backend):
    more = MemoryDataLayer(name="more", data=[X[:4]], tops=["more"], batch_size=4)
    net = Net("net", backend, [data(), more, CONV])
    for _ in range(3):
        net.forward()
    assert net.epoch == 1  # the first data layer counts
    assert net.feeds["more"].epoch == 3
    np.testing.assert_array_equal(net.blobs["more"], X[:4])


def test_a_net_without_data(backend):
    net = Net("empty", backend, [])
    with pytest.raises(StateError, match="net 'empty': no data layer has examples that end"):
        _ = net.epoch
    assert net.forward() == 0
    assert "0 parameters" in str(net)


def test_the_objective_is_the_sum_of_all_losses(backend):
    losses = [SoftmaxLossLayer(name=f"loss{w}", weight=w, bottoms=["ip", "label"]) for w in (1, 2)]
    net = Net("net", backend, [data(), CONV, POOL, IP, *losses])
    objective = net.forward()
    assert objective == pytest.approx(net.losses()["loss1"] * 3, rel=1e-6)


def test_printing(net):
    text = str(net)
    for words in ("net 'net' on the numpy backend", "7 layers", "conv", "Convolution + ReLU", "5x1x8x8", "5x4x6x6",
                  "filter 4x1x3x3", "in place", "10 examples in 'data'", "604 B", "Dropout"):  # fmt: skip
        assert words in text
    total = sum(v.size for layer in net.params.values() for v in layer.values())
    assert f"{total:,} parameters" in text
    net.freeze("conv")
    assert "(frozen)" in str(net)
    assert repr(net) == "<net 'net': 7 layers on the numpy backend>"


def test_printing_the_program(net):
    text = str(net.program)
    for words in ("program 'net', phase train", "conv", "Convolution", "5x1x8x8", "backward", "dInnerProduct", "KiB",
                  "% saved", "loss"):  # fmt: skip
        assert words in text


def test_two_nets_on_one_backend_run_in_turn(backend):
    first, second = Net("one", backend, [data(), *NET]), Net("two", backend, [data(), *NET])
    a = [first.forward_backward(), second.forward_backward(), first.forward(), second.forward()]
    assert a[0] == a[1]
    assert a[2] == a[3]
    np.testing.assert_array_equal(first.gradients["ip___weight"], second.gradients["ip___weight"])


def test_a_closed_net(backend):
    net = Net("gone", backend, [data(), *NET])
    net.forward()
    net.close()
    net.close()
    for ask in (net.forward, net.backward, net.forward_epoch, lambda: net.program):
        with pytest.raises(StateError, match="net 'gone': the net or its backend was shut down"):
            ask()
    for ask in (lambda: net.blobs["ip"], net.losses):
        with pytest.raises(StateError, match="net 'gone' was closed"):
            ask()
    assert net.params["ip"]["weight"].shape == (3, 36)  # the backend's still
    assert "gone" in str(net)


def test_a_backend_that_was_shut_down():
    backend = Backend("numpy")
    net = Net("net", backend, [data(), *NET])
    net.forward()
    backend.shutdown()
    for ask in (net.forward, net.forward_epoch, lambda: net.params["ip"]["weight"], net.init):
        with pytest.raises(StateError, match="net 'net'"):
            ask()
    with pytest.raises(StateError, match="backend 'numpy' was shut down"):
        backend.init()


def test_after_a_reset_of_the_registry(backend):
    net = Net("net", backend, [data(), *NET])
    net.forward()
    first = net.params["ip"]["weight"]
    net.params["ip"]["weight"] = first + 1
    registry_reset(backend)
    with pytest.raises(StateError, match=r"holds conv___filter no more.*; make a new net"):
        net.forward()
    again = Net("net", backend, [data(), *NET])
    np.testing.assert_array_equal(again.params["ip"]["weight"], first)


def test_a_failing_layer_is_named(net):
    with pytest.raises(Exception, match="layer 'loss': label 0 of the batch is 7"):
        net.forward(feeds={"data": X[:5], "label": np.full((5, 1), 7)})
    net.forward()  # the net goes on


def test_layers_that_are_not_there(net):
    for ask in (net.freeze, net.unfreeze, net.is_frozen):
        with pytest.raises(TopologyError, match=r"net 'net' has no layer 'cnv'. Did you mean 'conv'"):
            ask("cnv")


def test_statistics_do_not_remember_other_nets(net):
    net.forward(phase="test")
    assert set(net.statistics()) == {"accuracy-accuracy", "loss-softmax-loss"}
    assert 0 <= net.statistics()["accuracy-accuracy"] <= 1
