import pytest

from mocha.backends import NumpyBackend
from mocha.errors import ConfigError
from mocha.models import MODELS, find_model
from mocha.net import Net

PARAMETERS = {"lenet": 431_080, "cifar10-quick": 145_578, "mlp": 2_395_210, "caffenet": 60_965_224}
"""By hand, from the definitions: sums of filters or units times what each sees, and one bias each."""


@pytest.fixture(params=list(MODELS))
def model(request):
    return MODELS[request.param]


def test_number_of_parameters(model):
    with NumpyBackend() as backend, Net(model.name, backend, model.training(*model.noise(1), batch=1)) as net:
        assert sum(p.about.spec.size for p in net.parameters) == PARAMETERS[model.name]


@pytest.mark.parametrize("name", [name for name in MODELS if name != "caffenet"])
def test_it_runs_and_gives_scores(name):
    model = find_model(name)
    with NumpyBackend() as backend, Net(name, backend, model.training(*model.noise(4), batch=2)) as net:
        net.forward_backward()
        assert net.blobs[model.scores].shape == (2, model.classes)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("cifar10-quick", {"conv1": 32, "pool1": 16, "conv2": 16, "pool2": 8, "conv3": 8, "pool3": 4}),
        ("caffenet", {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "conv3": 13, "conv5": 13, "pool5": 6}),
        ("lenet", {"conv": 24, "pool": 12, "conv2": 8, "pool2": 4}),
    ],
)
def test_sizes_are_those_of_caffe(name, sizes):
    model = find_model(name)
    with NumpyBackend() as backend, Net(name, backend, model.training(*model.noise(1), batch=1)) as net:
        blobs = net.program.blobs
        assert {blob: blobs[blob].shape[2:] for blob in sizes} == {blob: (n, n) for blob, n in sizes.items()}


def test_noise_is_the_same_each_time(model):
    first, second = model.noise(2), model.noise(2)
    assert first[0].shape == (2, *model.shape)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert first[1].min() >= 0
    assert first[1].max() < model.classes


def test_an_unknown_name():
    with pytest.raises(ConfigError, match="Did you mean 'lenet'"):
        find_model("lenett")
