"""Caffe's fillers: where a parameter's values start."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from mocha.errors import ConfigError, did_you_mean
from mocha.ops import Array, Shape
from mocha.parameters import ConstantInitializer, Initializer
from mocha.random import Draw

TYPES = ("constant", "uniform", "gaussian", "positive_unitball", "xavier", "msra", "bilinear")


@dataclasses.dataclass(frozen=True)
class Filler(Initializer):
    """What a `FillerParameter` says.

    Args:
        type: one of `TYPES`.
        low: smallest number of "uniform".
        high: largest number of "uniform".
        mean: of "gaussian".
        std: of "gaussian", > 0.
        sparse: of "gaussian": the mean number of weights that are not 0 of each input, or -1 for all.
        norm: of "xavier" and "msra": FAN_IN, FAN_OUT or AVERAGE.
    """

    type: str
    low: float = 0.0
    high: float = 1.0
    mean: float = 0.0
    std: float = 1.0
    sparse: int = -1
    norm: str = "FAN_IN"

    def values(self, shape: Shape, draw: Draw) -> Array:
        """The numbers.

        Raises:
            ConfigError: the shape does not fit the filler.
        """
        if self.type == "uniform":
            return draw.uniform(shape, self.low, self.high)
        if self.type == "gaussian":
            return self._gaussian(shape, draw)
        if self.type == "positive_unitball":
            numbers = draw.uniform(shape)
            rows = numbers.reshape(shape[0] if shape else 1, -1)
            return np.asarray((rows / rows.sum(axis=1, keepdims=True)).reshape(shape))
        if self.type == "bilinear":
            return _bilinear(shape)
        scale = math.sqrt((3.0 if self.type == "xavier" else 2.0) / max(self._fan(shape), 1))
        return draw.uniform(shape, -scale, scale) if self.type == "xavier" else draw.normal(shape, 0.0, scale)

    def _fan(self, shape: Shape) -> float:
        """The number of inputs, of outputs, or their mean, as Caffe counts them."""
        count = math.prod(shape)
        fan_in = count / max(shape[0], 1) if shape else count
        fan_out = count / max(shape[1], 1) if len(shape) > 1 else count
        return {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}[self.norm]

    def _gaussian(self, shape: Shape, draw: Draw) -> Array:
        numbers = draw.normal(shape, self.mean, self.std)
        if self.sparse < 0:
            return numbers
        share = self.sparse / max(shape[0], 1) if shape else 1.0
        if share > 1:
            raise ConfigError(
                f"gaussian filler: sparse is {self.sparse}; expected at most {shape[0]}, axis 0 of {shape}."
            )
        # uniform numbers of the same draw, behind those that the normal ones were made of
        fresh = draw.uniform((2 * numbers.size + 1,))[numbers.size + 1 :]
        return numbers * (fresh.reshape(shape) < share)


def _bilinear(shape: Shape) -> Array:
    """The interpolation kernel of an upsampling deconvolution, the same for each pair of channels."""
    if len(shape) != 4 or shape[2] != shape[3]:
        raise ConfigError(f"bilinear filler: the parameter has shape {shape}; expected four axes, the last two equal.")
    k = shape[3]
    half = math.ceil(k / 2)
    centre = (k - 1) / (2.0 * half)
    row = 1 - np.abs(np.arange(k) / half - centre)
    return np.broadcast_to(np.outer(row, row), shape).copy()


def filler(message: Any, where: str, default: float = 0.0) -> Initializer:
    """The initializer that a `FillerParameter` describes.

    Args:
        message: the filler, or None where the layer has none.
        where: the layer and parameter, for messages.
        default: the constant that stands for no filler.

    Raises:
        ConfigError: the filler cannot be.
    """
    if message is None:
        return ConstantInitializer(default)
    if message.type not in TYPES:
        raise ConfigError(f"{where}: the filler is {message.type!r}. {did_you_mean(message.type, TYPES)}")
    if message.sparse != -1 and message.type != "gaussian":
        raise ConfigError(f"{where}: the filler {message.type!r} has sparse; only 'gaussian' may have that.")
    if message.type == "constant":
        return ConstantInitializer(message.value)
    if message.type == "gaussian" and not message.std > 0:
        raise ConfigError(f"{where}: the gaussian filler has std {message.std:g}; expected a number > 0.")
    if message.type == "uniform" and not message.min <= message.max:
        raise ConfigError(
            f"{where}: the uniform filler goes from {message.min:g} to {message.max:g}; expected min <= max."
        )
    norm = type(message).VarianceNorm.Name(message.variance_norm)
    return Filler(message.type, message.min, message.max, message.mean, message.std, message.sparse, norm)
