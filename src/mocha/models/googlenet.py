"""GoogLeNet."""

from __future__ import annotations

from mocha.layers import (
    ConcatLayer,
    ConvolutionLayer,
    DropoutLayer,
    InnerProductLayer,
    Layer,
    Neurons,
    Pooling,
    PoolingLayer,
)
from mocha.models.parts import halved, normalised
from mocha.parameters import ConstantInitializer

_INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Filters of each module: 1x1; 3x3 behind its reduction, which stands in front; 5x5 likewise; 1x1 behind the pool."""


def googlenet(classes: int = 1000) -> list[Layer]:
    """GoogLeNet as Caffe's bvlc_googlenet, under its names: images to the scores of classes in `loss3/classifier`.

    The images have three colours, and may have any size from 47x47 on; 224x224 is the usual one. The two heads at half
    depth, which help the training of the original, are left out: they have no part in the scores. (Szegedy, Liu, Jia
    and others, "Going deeper with convolutions", CVPR 2015.)

    Args:
        classes: number of scores.
    """
    layers: list[Layer] = [
        _conv("conv1/7x7_s2", 64, 7, "data", stride=2),
        halved("pool1/3x3_s2", "conv1/7x7_s2"),
        normalised("pool1/norm1", "pool1/3x3_s2"),
        _conv("conv2/3x3_reduce", 64, 1, "pool1/norm1"),
        _conv("conv2/3x3", 192, 3, "conv2/3x3_reduce"),
        normalised("conv2/norm2", "conv2/3x3"),
        halved("pool2/3x3_s2", "conv2/norm2"),
    ]
    below = "pool2/3x3_s2"
    for module, filters in _INCEPTIONS.items():
        name = f"inception_{module}"
        layers += _inception(name, filters, below)
        below = f"{name}/output"
        if module in ("3b", "4e"):
            pool = f"pool{module[0]}/3x3_s2"
            layers.append(halved(pool, below))
            below = pool
    pool = "pool5/7x7_s1"
    return [
        *layers,
        PoolingLayer(name=pool, global_pooling=True, pooling=Pooling.Mean(), bottoms=[below], tops=[pool]),
        DropoutLayer(name="pool5/drop_7x7_s1", ratio=0.4, bottoms=[pool]),
        InnerProductLayer(name="loss3/classifier", output_dim=classes, bottoms=[pool], tops=["loss3/classifier"]),
    ]


def _inception(name: str, filters: tuple[int, ...], bottom: str) -> list[Layer]:
    """Four ways from one blob, whose results lie one behind the other in the blob `<name>/output`."""
    n1, reduce3, n3, reduce5, n5, n_pool = filters
    ways = [f"{name}/{way}" for way in ("1x1", "3x3", "5x5", "pool_proj")]
    pool = f"{name}/pool"
    return [
        _conv(ways[0], n1, 1, bottom),
        _conv(f"{name}/3x3_reduce", reduce3, 1, bottom),
        _conv(ways[1], n3, 3, f"{name}/3x3_reduce"),
        _conv(f"{name}/5x5_reduce", reduce5, 1, bottom),
        _conv(ways[2], n5, 5, f"{name}/5x5_reduce"),
        PoolingLayer(name=pool, kernel=3, stride=1, pad=1, bottoms=[bottom], tops=[pool]),
        _conv(ways[3], n_pool, 1, pool),
        ConcatLayer(name=f"{name}/output", bottoms=ways, tops=[f"{name}/output"]),
    ]


def _conv(name: str, filters: int, kernel: int, bottom: str, *, stride: int = 1) -> Layer:
    """A convolution that keeps the size but for its stride, and rectified units."""
    return ConvolutionLayer(
        name=name,
        n_filter=filters,
        kernel=kernel,
        stride=stride,
        pad=kernel // 2,
        bias_init=ConstantInitializer(0.2),
        neuron=Neurons.ReLU(),
        bottoms=[bottom],
        tops=[name],
    )
