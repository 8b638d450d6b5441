"""Well-known nets as lists of layers, by name: for the demo, for `mocha time`, for benchmarks, and to start from."""

from __future__ import annotations

from mocha.errors import ConfigError, did_you_mean
from mocha.models.base import Model
from mocha.models.caffenet import caffenet
from mocha.models.cifar import cifar10_quick
from mocha.models.googlenet import googlenet
from mocha.models.lenet import lenet
from mocha.models.line import line
from mocha.models.mlp import mlp
from mocha.models.resnet import resnet50

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("lenet", lenet, (1, 28, 28), 10, 64),
        Model("cifar10-quick", cifar10_quick, (3, 32, 32), 10, 100),
        Model("mlp", mlp, (784,), 10, 100),
        Model("caffenet", caffenet, (3, 227, 227), 1000, 32),
        Model("googlenet", googlenet, (3, 224, 224), 1000, 32),
        Model("resnet50", resnet50, (3, 224, 224), 1000, 32),
    )
}
"""All of them, the small ones first."""


def find_model(name: str) -> Model:
    """The model of a name.

    Raises:
        ConfigError: there is none.
    """
    if name not in MODELS:
        raise ConfigError(f"there is no model {name!r}. {did_you_mean(name, MODELS)}")
    return MODELS[name]


__all__ = ["MODELS", "Model", "caffenet", "cifar10_quick", "find_model", "googlenet", "lenet", "line", "mlp",
           "resnet50"]  # fmt: skip
