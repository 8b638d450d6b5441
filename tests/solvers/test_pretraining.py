"""Stacks of hidden layers, pre-trained as denoising auto-encoders."""

import numpy as np
import pytest

from mocha import (
    SGD,
    Backend,
    ConfigError,
    InnerProductLayer,
    LRPolicy,
    MemoryDataLayer,
    Net,
    Neurons,
    RandomMaskLayer,
    Solver,
    autoencoder_stages,
    make_solver_parameters,
    pretrain,
)


@pytest.fixture
def backend():
    with Backend("numpy") as backend:
        yield backend


def data():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 8))  # eight numbers that three explain
    return MemoryDataLayer(name="data", data=[x / 4], tops=["data"], batch_size=10)


def hidden(**properties):
    return [
        InnerProductLayer(
            name=f"hidden{i}", output_dim=units, neuron=Neurons.Tanh(), bottoms=[bottom], tops=[f"h{i}"], **properties
        )
        for i, units, bottom in ((1, 6, "data"), (2, 4, "h1"))
    ]


def solver(stage):
    method = SGD()
    params = make_solver_parameters(method, max_iter=200, regu_coef=0.0, lr_policy=LRPolicy.Fixed(0.1))
    return Solver(method, params)


def parameters(net):
    return {f"{layer}/{name}": net.params[layer][name] for layer in net.params for name in net.params[layer]}


@pytest.mark.parametrize("tied_gradient", [False, True])
def test_each_stage_learns_and_leaves_the_others_alone(backend, tied_gradient):
    stages = autoencoder_stages(data(), hidden(), corruption=[0.1, 0.2], tied_gradient=tied_gradient)
    assert [(s.layer, s.corruption) for s in stages] == [("hidden1", 0.1), ("hidden2", 0.2)]
    with Net("whole", backend, [data(), *hidden()]) as whole:
        start = parameters(whole)
        (first,) = pretrain(stages[:1], backend, solver)
        middle = parameters(whole)
        (second,) = pretrain(stages[1:], backend, solver)
        end = parameters(whole)
    assert first.after < 0.6 * first.before
    assert second.after < 0.6 * second.before
    assert (first.layer, second.layer, first.iterations, second.iterations) == ("hidden1", "hidden2", 200, 200)
    for key in start:
        np.testing.assert_array_equal(np.any(middle[key] != start[key]), key.startswith("hidden1"))
        np.testing.assert_array_equal(np.any(end[key] != middle[key]), key.startswith("hidden2"))


def test_without_corruption_nothing_is_masked():
    for stage in autoencoder_stages(data(), hidden()):
        assert not any(isinstance(layer, RandomMaskLayer) for layer in stage.layers)


def test_parameters_are_shared_by_their_key(backend):
    layers = hidden(param_key="")
    layers[0] = layers[0].copy(param_key="deep")
    pretrain(autoencoder_stages(data(), layers), backend, solver)
    with Net("again", backend, [data(), *layers]) as net:
        assert "deep___weight" in backend.store.arrays
        assert np.abs(net.params["hidden1"]["weight"]).max() > 0


@pytest.mark.parametrize(
    ("layers", "more", "message"),
    [
        ([], {}, "no hidden layers"),
        (hidden()[::-1], {}, "from the lowest to the highest"),
        (hidden(), {"corruption": [0.1]}, "2 of them"),
        (hidden(), {"corruption": 1.0}, "below 1"),
        ([data()], {}, "is no InnerProductLayer"),
    ],
)
def test_what_is_no_stack_is_refused(layers, more, message):
    with pytest.raises(ConfigError, match=message):
        autoencoder_stages(data(), layers, **more)
