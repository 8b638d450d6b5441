"""Caffe's small net for CIFAR-10."""

from __future__ import annotations

from mocha.layers import ConvolutionLayer, InnerProductLayer, Layer, Neurons, Pooling, PoolingLayer
from mocha.parameters import GaussianInitializer


def cifar10_quick() -> list[Layer]:
    """Caffe's cifar10_quick: 32x32 pixels in three colours to 10 scores in the blob `ip2`."""
    return [
        _conv("conv1", 32, 0.0001, "data", Neurons.Identity()),
        PoolingLayer(name="pool1", kernel=3, stride=2, neuron=Neurons.ReLU(), bottoms=["conv1"], tops=["pool1"]),
        _conv("conv2", 32, 0.01, "pool1", Neurons.ReLU()),
        PoolingLayer(name="pool2", kernel=3, stride=2, pooling=Pooling.Mean(), bottoms=["conv2"], tops=["pool2"]),
        _conv("conv3", 64, 0.01, "pool2", Neurons.ReLU()),
        PoolingLayer(name="pool3", kernel=3, stride=2, pooling=Pooling.Mean(), bottoms=["conv3"], tops=["pool3"]),
        InnerProductLayer(
            name="ip1", output_dim=64, weight_init=GaussianInitializer(std=0.1), bottoms=["pool3"], tops=["ip1"]
        ),
        InnerProductLayer(
            name="ip2", output_dim=10, weight_init=GaussianInitializer(std=0.1), bottoms=["ip1"], tops=["ip2"]
        ),
    ]


def _conv(name: str, filters: int, std: float, bottom: str, neuron: Neurons.Identity | Neurons.ReLU) -> Layer:
    """A convolution by 5x5 filters that keeps the size of the image."""
    return ConvolutionLayer(
        name=name,
        n_filter=filters,
        kernel=5,
        pad=2,
        filter_init=GaussianInitializer(std=std),
        neuron=neuron,
        bottoms=[bottom],
        tops=[name],
    )
