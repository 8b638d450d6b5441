"""Batch normalisation, and the learned scale and shift of channels that go with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from mocha import ops
from mocha.errors import ShapeError
from mocha.graph import Graph, Phase, Section, Value
from mocha.layers.base import Layer, number
from mocha.layers.neurons import Identity, Neuron, check_neuron
from mocha.layers.trainable import TrainableLayer
from mocha.ops import Spec
from mocha.parameters import (
    ConstantInitializer,
    Constraint,
    Initializer,
    NoCons,
    NoRegu,
    ParameterSpec,
    Regularizer,
)


def _channels(inputs: Sequence[Spec]) -> Spec:
    """One number a channel.

    Raises:
        ShapeError: a bottom has no channels, or another number of them.
    """
    x = inputs[0]
    if any(other.ndim < 2 or other.shape[1] != x.shape[1] or other.dtype != x.dtype for other in inputs):
        raise ShapeError(
            f"bottoms are {', '.join(map(str, inputs))}; expected (N, C, ...), with the same number of channels and "
            "one type."
        )
    return Spec((x.shape[1],), x.dtype)


class BatchNormLayer(Layer):
    """y = neuron((x - mean) / sqrt(variance + eps)): each channel gets the mean 0 and the variance 1.

    In training, mean and variance are those of the channel in the batch, over examples and pixels, and the gradient
    goes through them. In testing they are running averages of those. A learned scale and shift, which the paper has
    behind it, is a `ScaleLayer`; a layer in front of it needs no bias. (Ioffe and Szegedy, "Batch normalization:
    accelerating deep network training by reducing internal covariate shift", ICML 2015.)

    Shapes: bottom (N, C, ...) -> top of the same; mean (C), variance (C).

    The running averages are the layer's parameters `mean` and `variance`, which start at 0 and 1. Each training step
    moves them: running = fraction running + (1 - fraction) of the batch. The batch's variance is then multiplied by
    M / (M - 1), for M numbers a channel, so that its expectation is that of the data; what training divides by is not.
    PyTorch does the same, with momentum = 1 - fraction. Caffe does too, but keeps sums, and divides them when testing.

    As parameters of the learning rate 0 they have no gradient, and solvers and regularizers pass them over; they are
    saved with the others, and shared by the nets on one backend. A solver's step moves them with its updates: a
    snapshot, or a validation between two steps, knows the batches that were learned from. `net.forward()` by hand
    moves them at once. A frozen layer normalises with them in training too, and leaves them as they are.

    A channel of one number in the whole batch becomes 0 in training, whatever the number: use larger batches.

    Args:
        eps: added to the variance, > 0.
        moving_average_fraction: how much of the running averages stays in a step, from 0 to below 1; their memory is
            some 1 / (1 - fraction) steps long.
        param_key: layers with the same key, in one net or in several on one backend, share their running averages;
            empty for the layer's name.
        neuron: the activation of the output.

    Examples:
        >>> layer = BatchNormLayer(name="norm", bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[1, 10], [3, 30]])["y"]
        array([[-1., -1.],
               [ 1.,  1.]])
        >>> with DefaultBackend() as backend:
        ...     trained = run_layers(layer, backend=backend, x=[[1, 10], [3, 30]])
        ...     net = Net("net", backend, [MemoryDataLayer(data=[np.ones((1, 2))], tops=["x"], batch_size=1), layer])
        ...     net.params["norm"]["mean"], net.params["norm"]["variance"]
        (array([0.2, 2. ]), array([ 1.1, 20.9]))
    """

    name: str
    eps: float = 1e-5
    moving_average_fraction: float = 0.9
    param_key: str = ""
    neuron: Neuron = Identity()
    n_bottoms: ClassVar[int | None] = 1

    def check(self) -> None:
        """Property by property."""
        number(self, "eps")
        if self.eps == 0:
            self.wrong("eps", self.eps, "a number > 0")
        number(self, "moving_average_fraction")
        if self.moving_average_fraction >= 1:
            self.wrong("moving_average_fraction", self.moving_average_fraction, "a number from 0 to below 1")
        check_neuron(f"{type(self).__name__}({self.name!r})", self.neuron)

    def parameters(self, *inputs: Spec) -> Sequence[ParameterSpec]:
        """The running mean and variance."""
        spec, plain = _channels(inputs), (NoRegu(), NoCons(), 0.0, False)
        return [
            ParameterSpec("mean", spec, ConstantInitializer(0.0), *plain),
            ParameterSpec("variance", spec, ConstantInitializer(1.0), *plain),
        ]

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """By the batch's statistics, which the running ones learn of in the update; or by the running ones."""
        x, (mean, variance) = inputs[0], params
        if g.phase is Phase.TEST:
            return [self.neuron.lower(g, g(ops.BatchNormTest(float(self.eps)), x, mean, variance))]
        y, batch_mean, batch_variance = g.apply(ops.BatchNormTrain(float(self.eps)), x)
        stays, count = float(self.moving_average_fraction), math.prod(x.shape) // max(x.shape[1], 1)
        with g.within(self.name, Section.UPDATE):
            g(ops.MovingAverage(stays, 1 - stays), mean, batch_mean)
            g(ops.MovingAverage(stays, (1 - stays) * count / max(count - 1, 1)), variance, batch_variance)
        return [self.neuron.lower(g, y)]


class ScaleLayer(TrainableLayer):
    """y = neuron(scale x + bias), with a learned scale and bias for each channel.

    Behind a `BatchNormLayer` it gives the channels back the freedom of any mean and variance. Several bottoms go
    through the same scale, each to its top; they may differ in all but the number of channels.

    Shapes: bottom (N, C, ...) -> top of the same; scale (C), bias (C). (Caffe's Scale has the bias only if asked for.)

    Args:
        scale_init: first values of the scale.
        scale_regu: penalty on the scale; none unless told, for it would pull towards 0.
        scale_cons: bound on the scale.
        scale_lr: multiple of the learning rate for the scale.
        bias_lr: multiple of the learning rate for the bias; that of the scale unless told.

    Examples:
        >>> start = {"scale_init": ConstantInitializer(10), "bias_init": ConstantInitializer(-15)}
        >>> layer = ScaleLayer(name="scale", **start, neuron=Neurons.ReLU(), bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=[[1, 2], [3, 4]])["y"]
        array([[ 0.,  5.],
               [15., 25.]])
    """

    scale_init: Initializer = ConstantInitializer(1.0)
    scale_regu: Regularizer = NoRegu()
    scale_cons: Constraint = NoCons()
    scale_lr: float = 1.0
    bias_lr: float = 1.0

    def check(self) -> None:
        """Property by property."""
        super().check()
        self.check_parameter("scale")
        self.check_parameter("bias")

    def parameters(self, *inputs: Spec) -> Sequence[ParameterSpec]:
        """Scale and bias."""
        spec = _channels(inputs)
        about = self.scale_init, self.scale_regu, self.scale_cons, float(self.scale_lr)
        return [ParameterSpec("scale", spec, *about), *self.bias(spec.shape[0], spec)]

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """Product, bias, neuron."""
        return [self.finish(g, g(ops.ScaleChannels(1), x, params[0]), params) for x in inputs]
