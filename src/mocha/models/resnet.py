"""ResNet-50."""

from __future__ import annotations

from mocha.layers import (
    BatchNormLayer,
    ConvolutionLayer,
    ElementWiseLayer,
    InnerProductLayer,
    Layer,
    Neurons,
    Pooling,
    PoolingLayer,
    ScaleLayer,
)
from mocha.parameters import ConstantInitializer

_STAGES = (("res2", 3, 64, 1), ("res3", 4, 128, 2), ("res4", 6, 256, 2), ("res5", 3, 512, 2))
"""Name, number of blocks, filters of a block's first two convolutions, and the stride of its first block."""


def resnet50(classes: int = 1000) -> list[Layer]:
    """ResNet-50, version 1.5: images of three colours to the scores of classes in the blob `fc`.

    The images may have any size from 32x32 on; 224x224 is the usual one. Version 1.5 is the net of the paper with the
    stride in the 3x3 convolution of a block instead of the 1x1 one in front of it, as PyTorch and others have it. (He,
    Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.) The last scale of each block starts
    at 0, so that a new net is a shallow one and learns well from the first step. (Goyal and others, "Accurate, large
    minibatch SGD: training ImageNet in 1 hour", 2017.)

    Args:
        classes: number of scores.
    """
    layers: list[Layer] = [
        *_conv_norm("conv1", 64, 7, "data", stride=2, relu=True),
        PoolingLayer(name="pool1", kernel=3, stride=2, pad=1, ceil=False, bottoms=["conv1_scale"], tops=["pool1"]),
    ]
    below = "pool1"
    for stage, blocks, filters, stride in _STAGES:
        for i in range(blocks):
            name = f"{stage}{'abcdef'[i]}"
            layers += _bottleneck(name, filters, below, stride=stride if i == 0 else 1, project=i == 0)
            below = name
    return [
        *layers,
        PoolingLayer(name="pool5", global_pooling=True, pooling=Pooling.Mean(), bottoms=[below], tops=["pool5"]),
        InnerProductLayer(name="fc", output_dim=classes, bottoms=["pool5"], tops=["fc"]),
    ]


def _bottleneck(name: str, filters: int, bottom: str, *, stride: int, project: bool) -> list[Layer]:
    """Convolutions by 1x1, 3x3 and 1x1 filters, and a way past them; the blob of the sum has the block's name."""
    layers = [
        *_conv_norm(f"{name}_1", filters, 1, bottom, relu=True),
        *_conv_norm(f"{name}_2", filters, 3, f"{name}_1_scale", stride=stride, relu=True),
        *_conv_norm(f"{name}_3", 4 * filters, 1, f"{name}_2_scale", scale=0.0),
    ]
    past = bottom
    if project:
        layers += _conv_norm(f"{name}_past", 4 * filters, 1, bottom, stride=stride)
        past = f"{name}_past_scale"
    return [
        *layers,
        ElementWiseLayer(name=name, neuron=Neurons.ReLU(), bottoms=[f"{name}_3_scale", past], tops=[name]),
    ]


def _conv_norm(
    name: str, filters: int, kernel: int, bottom: str, *, stride: int = 1, scale: float = 1.0, relu: bool = False
) -> list[Layer]:
    """A convolution that keeps the size but for its stride, normalised and scaled, into the blob `<name>_scale`."""
    norm, scaled = f"{name}_norm", f"{name}_scale"
    return [
        ConvolutionLayer(
            name=name,
            n_filter=filters,
            kernel=kernel,
            stride=stride,
            pad=kernel // 2,
            bias_term=False,
            bottoms=[bottom],
            tops=[name],
        ),
        BatchNormLayer(name=norm, bottoms=[name], tops=[norm]),
        ScaleLayer(
            name=scaled,
            scale_init=ConstantInitializer(scale),
            neuron=Neurons.ReLU() if relu else Neurons.Identity(),
            bottoms=[norm],
            tops=[scaled],
        ),
    ]
