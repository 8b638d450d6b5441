"""Where a parameter's values start. One small class each; write your own by giving it a `values`."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod

import numpy as np

from mocha.errors import ConfigError
from mocha.ops import Array, Shape
from mocha.random import Draw


class Initializer(ABC):
    """Gives a new parameter its values."""

    @abstractmethod
    def values(self, shape: Shape, draw: Draw) -> Array:
        """Values of that shape; they are converted to the parameter's type.

        Args:
            shape: row-major; axis 0 counts the outputs (filters, units), the other axes are what each of them sees.
            draw: the random numbers that belong to this parameter: the same for the same seed and key.
        """


@dataclasses.dataclass(frozen=True)
class NullInitializer(Initializer):
    """Zeros: for a parameter whose values come from elsewhere.

    Examples:
        >>> layer = InnerProductLayer(name="ip", output_dim=2, weight_init=NullInitializer(), bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[1, 2]])["y"]
        array([[0., 0.]])
    """

    def values(self, shape: Shape, draw: Draw) -> Array:
        """Zeros."""
        return np.zeros(shape)


@dataclasses.dataclass(frozen=True)
class ConstantInitializer(Initializer):
    """One number everywhere.

    Args:
        value: the number.

    Examples:
        >>> init = ConstantInitializer(0.1)
        >>> layer = InnerProductLayer(name="ip", output_dim=2, weight_init=init, bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[1, 2]])["y"]
        array([[0.3, 0.3]])
    """

    value: float = 0.0

    def values(self, shape: Shape, draw: Draw) -> Array:
        """The constant."""
        return np.full(shape, self.value, np.float64)


@dataclasses.dataclass(frozen=True)
class XavierInitializer(Initializer):
    """Uniform in [-s, s] with s = sqrt(3 / fan_in), so that the variance is 1 / fan_in.

    fan_in is the product of all axes but axis 0. (Glorot and Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", AISTATS 2010, as Caffe and Mocha simplify it.)

    Examples:
        >>> init = XavierInitializer()
        >>> layer = InnerProductLayer(name="ip", output_dim=1000, weight_init=init, bottoms=["x"], tops=["y"])
        >>> y = run_layers(layer, x=np.ones((1, 300)))["y"]
        >>> bool(0.9 < y.var() < 1.1)
        True
    """

    def values(self, shape: Shape, draw: Draw) -> Array:
        """The uniform numbers."""
        scale = math.sqrt(3.0 / max(math.prod(shape[1:]), 1))
        return draw.uniform(shape, -scale, scale)


@dataclasses.dataclass(frozen=True)
class GaussianInitializer(Initializer):
    """Normally distributed.

    Args:
        mean: the mean.
        std: the standard deviation, >= 0.

    Examples:
        >>> init = GaussianInitializer(std=0.01)
        >>> layer = InnerProductLayer(name="ip", output_dim=1000, weight_init=init, bottoms=["x"], tops=["y"])
        >>> y = run_layers(layer, x=np.ones((1, 100)))["y"]
        >>> bool(0.09 < y.std() < 0.11)
        True
    """

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        if not self.std >= 0:
            raise ConfigError(f"GaussianInitializer: std is {self.std}; expected a number >= 0.")

    def values(self, shape: Shape, draw: Draw) -> Array:
        """The normal numbers."""
        return draw.normal(shape, self.mean, self.std)


@dataclasses.dataclass(frozen=True)
class OrthogonalInitializer(Initializer):
    """A random orthogonal matrix, times a gain.

    The parameter is seen as a matrix of shape (axis 0, all other axes). If it is wide its rows are orthonormal, if it
    is tall its columns are (Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", 2013).

    Args:
        gain: factor, > 0; sqrt(2) suits layers followed by a ReLU.

    Examples:
        >>> init = OrthogonalInitializer()
        >>> layer = InnerProductLayer(name="ip", output_dim=4, weight_init=init, bottoms=["x"], tops=["y"])
        >>> y = run_layers(layer, x=np.eye(4))["y"]
        >>> np.allclose(y @ y.T, np.eye(4), atol=1e-6)
        True
    """

    gain: float = 1.0

    def values(self, shape: Shape, draw: Draw) -> Array:
        """From the QR decomposition of a normal matrix, signs fixed so that every orthogonal matrix is as likely."""
        if len(shape) < 2:
            raise ConfigError(f"OrthogonalInitializer: the parameter has shape {shape}; expected at least two axes.")
        rows, columns = shape[0], math.prod(shape[1:])
        q, r = np.linalg.qr(draw.normal((max(rows, columns), min(rows, columns))))
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return np.asarray(self.gain * (q if rows >= columns else q.T)).reshape(shape)
