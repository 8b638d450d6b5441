import dataclasses

import numpy as np
import pytest

from mocha.backends import NumpyBackend
from mocha.errors import ConfigError
from mocha.graph import Phase
from mocha.layers import ScaleLayer
from mocha.models import MODELS, find_model, resnet50
from mocha.net import Net
from mocha.parameters import ConstantInitializer

PARAMETERS = {
    "lenet": 431_080, "cifar10-quick": 145_578, "mlp": 2_395_210, "caffenet": 60_965_224, "googlenet": 6_998_552,
    "resnet50": 25_557_032,
}  # fmt: skip
"""Those that learn. By hand, from the definitions: sums of filters or units times what each sees, and one bias each; of
the last two what Caffe and PyTorch count."""

SMALLER = {"googlenet": (3, 48, 48), "resnet50": (3, 32, 32)}
"""Sizes that run fast, of models that take any."""


@pytest.fixture(params=list(MODELS))
def model(request):
    return MODELS[request.param]


def test_number_of_parameters(model):
    with NumpyBackend() as backend, Net(model.name, backend, model.training(*model.noise(1), batch=1)) as net:
        assert sum(p.about.spec.size for p in net.trainable()) == PARAMETERS[model.name]


@pytest.mark.parametrize("name", [name for name in MODELS if name != "caffenet"])
def test_it_runs_and_gives_scores(name):
    model = find_model(name)
    small = dataclasses.replace(model, shape=SMALLER.get(name, model.shape))
    with NumpyBackend() as backend, Net(name, backend, model.training(*small.noise(4), batch=2)) as net:
        objective = net.forward_backward()
        assert np.isfinite(objective)
        assert net.blobs[model.scores].shape == (2, model.classes)
        assert all(np.all(np.isfinite(net.gradients[p.key])) for p in net.trainable())


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("cifar10-quick", {"conv1": 32, "pool1": 16, "conv2": 16, "pool2": 8, "conv3": 8, "pool3": 4}),
        ("caffenet", {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "conv3": 13, "conv5": 13, "pool5": 6}),
        ("lenet", {"conv": 24, "pool": 12, "conv2": 8, "pool2": 4}),
        (
            "googlenet",
            {
                "conv1/7x7_s2": 112,
                "pool1/3x3_s2": 56,
                "pool2/3x3_s2": 28,
                "inception_3b/output": 28,
                "pool3/3x3_s2": 14,
                "inception_4e/output": 14,
                "pool4/3x3_s2": 7,
                "inception_5b/output": 7,
                "pool5/7x7_s1": 1,
            },
        ),
        (
            "resnet50",
            {"conv1": 112, "pool1": 56, "res2c": 56, "res3a_1": 56, "res3d": 28, "res4f": 14, "res5c": 7, "pool5": 1},
        ),
    ],
)
def test_sizes_are_those_of_caffe(name, sizes):
    model = find_model(name)
    with NumpyBackend() as backend, Net(name, backend, model.training(*model.noise(1), batch=1)) as net:
        blobs = net.lower(Phase.TRAIN).blobs
        assert {blob: blobs[blob].shape[2:] for blob in sizes} == {blob: (n, n) for blob, n in sizes.items()}


def test_the_last_scale_of_a_block_starts_at_0():
    scales = [layer for layer in resnet50(7) if isinstance(layer, ScaleLayer)]
    zero = [layer.name for layer in scales if layer.scale_init == ConstantInitializer(0.0)]
    assert len(scales) == 53
    assert zero == [layer.name for layer in scales if layer.name.endswith("_3_scale")]
    assert len(zero) == 16


def test_noise_is_the_same_each_time(model):
    first, second = model.noise(2), model.noise(2)
    assert first[0].shape == (2, *model.shape)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert first[1].min() >= 0
    assert first[1].max() < model.classes


def test_an_unknown_name():
    with pytest.raises(ConfigError, match="Did you mean 'lenet'"):
        find_model("lenett")
