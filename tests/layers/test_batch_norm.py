"""Batch normalisation: what it computes, and its running averages through training, files and validation."""

import numpy as np
import pytest

from mocha import (
    SGD,
    Adam,
    BatchNormLayer,
    ConstantInitializer,
    ConvolutionLayer,
    GaussianInitializer,
    InnerProductLayer,
    L1Regu,
    LRPolicy,
    MemoryDataLayer,
    Net,
    Neurons,
    PoolingLayer,
    Predictor,
    ScaleLayer,
    ShapeError,
    Snapshot,
    SoftmaxLossLayer,
    Solver,
    ValidationPerformance,
    load_network,
    make_solver_parameters,
    save_network,
)
from mocha.backends import Backend
from mocha.testing import check_gradients

RNG = np.random.default_rng(0)
SHAPES = {"2-D": (6, 4), "3-D": (3, 4, 5), "4-D": (3, 4, 2, 5)}
SOME = GaussianInitializer(0.5, 0.3)


def norm(**more):
    return BatchNormLayer(**{"name": "norm", "bottoms": ["x"], "tops": ["y"], **more})


def scale(**more):
    return ScaleLayer(
        **{"name": "scale", "bottoms": ["x"], "tops": ["y"], "scale_init": SOME, "bias_init": SOME, **more}
    )


def around(x):
    return tuple(axis for axis in range(x.ndim) if axis != 1)


def spread(values, x):
    return values.reshape(-1, *[1] * (x.ndim - 2))


def normalised(x, mean, variance, eps=1e-5):
    return (x - spread(mean, x)) / np.sqrt(spread(variance, x) + eps)


# -- one layer


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_training_uses_the_batch_and_testing_the_running_averages(net_of, shape):
    x = 3 + 2 * RNG.standard_normal(shape)
    net = net_of({"x": x}, norm(eps=0.01, moving_average_fraction=0.75, neuron=Neurons.ReLU()))
    mean, variance = x.mean(around(x)), x.var(around(x))
    net.forward(phase="test")  # not trained yet: 0 and 1
    np.testing.assert_allclose(net.blobs["y"], np.maximum(x / np.sqrt(1.01), 0), rtol=1e-12)
    kept = np.zeros(4), np.ones(4)
    count = x.size // 4
    for _ in range(3):
        net.forward()
        np.testing.assert_allclose(net.blobs["y"], np.maximum(normalised(x, mean, variance, 0.01), 0), atol=1e-12)
        kept = 0.75 * kept[0] + 0.25 * mean, 0.75 * kept[1] + 0.25 * variance * count / (count - 1)
    found = net.params["norm"]
    np.testing.assert_allclose([found["mean"], found["variance"]], kept, rtol=1e-12)
    net.forward(phase="test")
    np.testing.assert_allclose(net.blobs["y"], np.maximum(normalised(x, *kept, 0.01), 0), atol=1e-12)
    np.testing.assert_allclose([found["mean"], found["variance"]], kept, rtol=1e-12)


def test_one_number_a_channel_becomes_0(net_of):
    net = net_of({"x": np.array([[3.0, -2.0]])}, norm())
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"], [[0, 0]])
    np.testing.assert_allclose(net.params["norm"]["variance"], [0.9, 0.9])


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_scale(net_of, shape):
    x, z = RNG.standard_normal(shape), RNG.standard_normal((shape[0], 4, 2, 2))
    net = net_of({"x": x, "z": z}, scale(neuron=Neurons.Tanh(), bottoms=["x", "z"], tops=["y", "w"]),
                 scale(name="plain", bias_term=False, tops=["v"]))  # fmt: skip
    net.forward()
    s, b = net.params["scale"]["scale"], net.params["scale"]["bias"]
    for blob, array in (("y", x), ("w", z)):
        np.testing.assert_allclose(net.blobs[blob], np.tanh(array * spread(s, array) + spread(b, array)), rtol=1e-12)
    assert list(net.params["plain"]) == ["scale"]
    np.testing.assert_allclose(net.blobs["v"], x * spread(net.params["plain"]["scale"], x), rtol=1e-12)


def test_a_scale_starts_as_the_identity(net_of):
    net = net_of({"x": np.ones((2, 3))}, ScaleLayer(name="scale", bottoms=["x"], tops=["y"]))
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"], np.ones((2, 3)))
    assert [p.about.rate for p in net.parameters] == [1.0, 1.0]


@pytest.mark.parametrize("layer", [norm(), scale()], ids=["norm", "scale"])
def test_a_bottom_without_channels(net_of, layer):
    with pytest.raises(ShapeError, match=rf"layer '{layer.name}': bottoms are 5 .*; expected \(N, C, ...\)"):
        net_of({"x": np.zeros(5)}, layer)


def test_scaled_bottoms_have_the_same_channels(net_of):
    with pytest.raises(ShapeError, match=r"layer 'scale': bottoms are .* same number of channels"):
        net_of({"x": np.zeros((2, 3)), "z": np.zeros((2, 4))}, scale(bottoms=["x", "z"], tops=["y", "w"]))


# -- in a net

IMAGES = RNG.standard_normal((24, 2, 6, 5)).astype(np.float32) * 3 + 1
LABELS = (np.arange(24) % 3).astype(np.float32)


def layers(*, images=IMAGES, batch=6, **more):
    """Normalised images and normalised rows."""
    return [
        MemoryDataLayer(name="data", data=[images, LABELS.astype(images.dtype)], batch_size=batch),
        ConvolutionLayer(name="conv", n_filter=5, kernel=3, bias_term=False, bottoms=["data"], tops=["conv"]),
        BatchNormLayer(name="norm", bottoms=["conv"], tops=["norm"], **more),
        ScaleLayer(name="scale", neuron=Neurons.ReLU(), bottoms=["norm"], tops=["scale"]),
        PoolingLayer(name="pool", kernel=2, stride=2, bottoms=["scale"], tops=["pool"]),
        InnerProductLayer(name="ip", output_dim=4, bias_term=False, bottoms=["pool"], tops=["ip"]),
        BatchNormLayer(name="rows", neuron=Neurons.Tanh(), bottoms=["ip"], tops=["rows"]),
        InnerProductLayer(name="score", output_dim=3, bottoms=["rows"], tops=["score"]),
        SoftmaxLossLayer(name="loss", bottoms=["score", "label"]),
    ]


def solver_of(method=None, **params):
    method = method or SGD()
    return Solver(method, make_solver_parameters(method, lr_policy=LRPolicy.Fixed(0.05), **params))


def statistics_of(net):
    return {f"{layer}/{name}": net.params[layer][name] for layer in ("norm", "rows") for name in ("mean", "variance")}


def test_gradients(backend):
    with Net("checked", backend, layers(images=IMAGES.astype(np.float64)), seed=2) as net:
        report = check_gradients(net)
        assert report.ok, report
        assert {v.name for v in report.verdicts} >= {"scale/scale", "scale/bias", "conv/filter", "data"}
        assert not any(v.name.startswith("norm") for v in report.verdicts)  # the running averages have none


def test_the_backends_agree():
    pytest.importorskip("mocha._native", reason="the native library was not built")
    found = {}
    for name in ("numpy", "native"):
        with Backend(name) as backend, Net(name, backend, layers(), seed=3) as net:
            solver_of(max_iter=5, regu_coef=0.01).solve(net)
            net.forward(phase="test")
            found[name] = {p.key: backend.store.read(p.key) for p in net.parameters} | {"score": net.blobs["score"]}
    for key, expected in found["numpy"].items():
        np.testing.assert_allclose(found["native"][key], expected, rtol=1e-3, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("method", [SGD(), Adam()])
def test_a_solver_moves_them_by_the_batches_that_it_learned_from(backend, method):
    with Net("train", backend, layers(), seed=1) as net:
        assert {p.key for p in net.parameters} - {p.key for p in net.trainable()} == {
            "norm___mean", "norm___variance", "rows___mean", "rows___variance"
        }  # fmt: skip
        solver = solver_of(method, max_iter=3, regu_coef=0.5, clip_gradients=1.0)
        state = solver.init_solve(net)
        mean, variance = np.zeros(5), np.ones(5)
        for step in range(3):
            assert not np.any(
                net.params["norm"]["mean"] - mean > 1e-5
            )  # the batch that is being run does not count yet
            with Backend("numpy") as other, Net("twin", other, layers(batch=24)) as twin:
                twin.params["conv"]["filter"] = net.params["conv"]["filter"]
                twin.forward(phase="test")
                conv = twin.blobs["conv"][6 * step : 6 * step + 6]
            solver.step(net, state)
            mean = 0.9 * mean + 0.1 * conv.mean((0, 2, 3))
            variance = 0.9 * variance + 0.1 * conv.var((0, 2, 3), ddof=1)
            np.testing.assert_allclose(net.params["norm"]["mean"], mean, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(net.params["norm"]["variance"], variance, rtol=1e-4)
        solver.finalize_solve(net, state)


@pytest.mark.parametrize("method", [SGD(), Adam()])
def test_a_resumed_training_is_the_one_that_was_not_interrupted(backend, method, tmp_path):
    def train(directory, until):
        with Backend(backend.name) as own, Net("train", own, layers(), seed=1) as net:
            solver = solver_of(method, max_iter=until, load_from=str(directory))
            solver.add_coffee_break(Snapshot(directory), every_n_iter=4)
            solver.solve(net)
            return {p.key: own.store.read(p.key) for p in net.parameters}

    straight = train(tmp_path / "straight", 10)
    train(tmp_path / "twice", 4)
    for key, values in train(tmp_path / "twice", 10).items():
        np.testing.assert_array_equal(values, straight[key], err_msg=key)


def test_a_validation_net_uses_them_and_leaves_them(backend):
    with Net("train", backend, layers(), seed=1) as net, Net("validation", backend, layers(batch=24)) as validation:
        solver = solver_of(max_iter=4)
        solver.add_coffee_break(ValidationPerformance(validation), every_n_iter=1)
        state = solver.solve(net)
        kept = statistics_of(net)
        assert state.iteration == 4
        for key, values in statistics_of(validation).items():
            np.testing.assert_array_equal(values, kept[key])
        validation.rewind()
        validation.forward_epoch()
        scores = Predictor(validation, "score")(IMAGES)
        validation.forward(phase="test")
        np.testing.assert_array_equal(validation.blobs["score"], scores)
        by_hand = normalised(validation.blobs["conv"], kept["norm/mean"], kept["norm/variance"])
        np.testing.assert_allclose(validation.blobs["norm"], by_hand, rtol=1e-4, atol=1e-5)
        for key, values in statistics_of(net).items():
            np.testing.assert_array_equal(values, kept[key])
        net.forward_epoch(phase="train")  # passes that learn the statistics alone
        assert all(np.any(values != kept[key]) for key, values in statistics_of(net).items())


def test_they_are_in_model_files(backend, tmp_path):
    with Net("train", backend, layers(), seed=1) as net:
        for _ in range(3):
            net.forward_backward()
        save_network(tmp_path / "model.h5", net)
        scores = Predictor(net, "score")(IMAGES[:6])
    with Backend(backend.name) as other, Net("other", other, layers(), seed=2) as net:
        load_network(tmp_path / "model.h5", net)
        np.testing.assert_array_equal(Predictor(net, "score")(IMAGES[:6]), scores)


def test_a_frozen_layer_uses_them_in_training_and_leaves_them(backend):
    with Net("train", backend, layers(), seed=1) as net:
        net.forward_backward()
        kept = statistics_of(net)
        net.freeze("norm")
        net.forward_backward()
        by_hand = normalised(net.blobs["conv"], kept["norm/mean"], kept["norm/variance"])
        np.testing.assert_allclose(net.blobs["norm"], by_hand, rtol=1e-4, atol=1e-5)
        assert "conv___filter" in net.gradients
        solver_of(max_iter=3).solve(net)
        found = statistics_of(net)
        np.testing.assert_array_equal(found["norm/mean"], kept["norm/mean"])
        assert np.any(found["rows/mean"] != kept["rows/mean"])
        net.unfreeze("norm")
        net.forward()
        assert np.any(statistics_of(net)["norm/mean"] != kept["norm/mean"])


def test_layers_of_one_key_share_them(net_of):
    x, z = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 3))
    net = net_of(
        {"x": x, "z": z}, norm(param_key="both"), norm(name="second", param_key="both", bottoms=["z"], tops=["w"])
    )
    net.forward()
    np.testing.assert_allclose(net.params["norm"]["mean"], 0.9 * 0.1 * x.mean(0) + 0.1 * z.mean(0), rtol=1e-12)
    net.freeze("second")  # a parameter is frozen if one of its sharers is
    net.forward()
    np.testing.assert_allclose(net.params["norm"]["mean"], 0.9 * 0.1 * x.mean(0) + 0.1 * z.mean(0), rtol=1e-12)


def test_a_penalty_on_the_scale_is_the_users_choice(backend):
    layer = ScaleLayer(name="scale", scale_init=ConstantInitializer(1), scale_regu=L1Regu(2.0), scale_lr=3,
                       bottoms=["data"], tops=["y"])  # fmt: skip
    with Net("net", backend, [layers()[0], layer]) as net:
        about = net.parameters[0].about
        assert (about.regularizer, about.rate) == (L1Regu(2.0), 3.0)
