"""What deep nets in PyTorch are made of: convolutions with what follows them, and blocks of several ways."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

Named = tuple[str, nn.Module]


def _path(modules: list[Named]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


class Residual(nn.Module):
    """relu(way(x) + past(x)); the way past is x itself where none is given."""

    def __init__(self, way: list[Named], past: list[Named]) -> None:
        super().__init__()
        self.way, self.past = _path(way), _path(past)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(self.way(x) + self.past(x), inplace=True)


class Ways(nn.Module):
    """Several ways from one blob, their channels one behind the other."""

    def __init__(self, ways: list[list[Named]]) -> None:
        super().__init__()
        self.ways = nn.ModuleList(map(_path, ways))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([way(x) for way in self.ways], 1)


def conv(name: str, channels: int, filters: int, kernel: int, *, stride: int = 1) -> list[Named]:
    """A convolution and rectified units."""
    return [
        (name, nn.Conv2d(channels, filters, kernel, stride, kernel // 2)),
        (f"{name}_relu", nn.ReLU(inplace=True)),
    ]


def conv_norm(
    name: str, channels: int, filters: int, kernel: int, *, stride: int = 1, relu: bool = False
) -> list[Named]:
    """A convolution, normalised and scaled: the scale is a part of the module `<name>_norm`."""
    found: list[Named] = [
        (name, nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=False)),
        (f"{name}_norm", nn.BatchNorm2d(filters)),
    ]
    return [*found, (f"{name}_relu", nn.ReLU(inplace=True))] if relu else found


def bottleneck(name: str, channels: int, filters: int, *, stride: int, project: bool) -> Named:
    """ResNet's block of three convolutions, with the stride in the middle one."""
    way = [
        *conv_norm(f"{name}_1", channels, filters, 1, relu=True),
        *conv_norm(f"{name}_2", filters, filters, 3, stride=stride, relu=True),
        *conv_norm(f"{name}_3", filters, 4 * filters, 1),
    ]
    return name, Residual(way, conv_norm(f"{name}_past", channels, 4 * filters, 1, stride=stride) if project else [])


def inception(module: str, channels: int, filters: tuple[int, ...]) -> Named:
    """GoogLeNet's module of four ways."""
    n1, reduce3, n3, reduce5, n5, n_pool = filters
    name = f"inception_{module}"
    ways = [
        conv(f"{name}/1x1", channels, n1, 1),
        [*conv(f"{name}/3x3_reduce", channels, reduce3, 1), *conv(f"{name}/3x3", reduce3, n3, 3)],
        [*conv(f"{name}/5x5_reduce", channels, reduce5, 1), *conv(f"{name}/5x5", reduce5, n5, 5)],
        [(f"{name}/pool", nn.MaxPool2d(3, 1, 1)), *conv(f"{name}/pool_proj", channels, n_pool, 1)],
    ]
    return name, Ways(ways)
