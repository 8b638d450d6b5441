"""CaffeNet."""

from __future__ import annotations

from mocha.layers import (
    ConvolutionLayer,
    DropoutLayer,
    InnerProductLayer,
    Layer,
    Neurons,
)
from mocha.models.parts import halved, normalised
from mocha.parameters import ConstantInitializer, GaussianInitializer


def caffenet() -> list[Layer]:
    """Caffe's reference net for ImageNet: 227x227 pixels in three colours to 1000 scores in the blob `fc8`.

    (Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012, with
    pooling before normalisation.)
    """
    return [
        _conv("conv1", 96, 11, "data", stride=4),
        halved("pool1", "conv1"),
        normalised("norm1", "pool1"),
        _conv("conv2", 256, 5, "norm1", pad=2, groups=2, bias=1.0),
        halved("pool2", "conv2"),
        normalised("norm2", "pool2"),
        _conv("conv3", 384, 3, "norm2", pad=1),
        _conv("conv4", 384, 3, "conv3", pad=1, groups=2, bias=1.0),
        _conv("conv5", 256, 3, "conv4", pad=1, groups=2, bias=1.0),
        halved("pool5", "conv5"),
        _dense("fc6", 4096, "pool5", 0.005, bias=1.0),
        DropoutLayer(name="drop6", ratio=0.5, bottoms=["fc6"]),
        _dense("fc7", 4096, "fc6", 0.005, bias=1.0),
        DropoutLayer(name="drop7", ratio=0.5, bottoms=["fc7"]),
        InnerProductLayer(
            name="fc8", output_dim=1000, weight_init=GaussianInitializer(std=0.01), bottoms=["fc7"], tops=["fc8"]
        ),
    ]


def _conv(
    name: str,
    filters: int,
    kernel: int,
    bottom: str,
    *,
    stride: int = 1,
    pad: int = 0,
    groups: int = 1,
    bias: float = 0.0,
) -> Layer:
    return ConvolutionLayer(
        name=name,
        n_filter=filters,
        kernel=kernel,
        stride=stride,
        pad=pad,
        n_group=groups,
        filter_init=GaussianInitializer(std=0.01),
        bias_init=ConstantInitializer(bias),
        neuron=Neurons.ReLU(),
        bottoms=[bottom],
        tops=[name],
    )


def _dense(name: str, units: int, bottom: str, std: float, *, bias: float) -> Layer:
    return InnerProductLayer(
        name=name,
        output_dim=units,
        weight_init=GaussianInitializer(std=std),
        bias_init=ConstantInitializer(bias),
        neuron=Neurons.ReLU(),
        bottoms=[bottom],
        tops=[name],
    )
