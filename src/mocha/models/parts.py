"""Layers that several models have alike."""

from __future__ import annotations

from mocha.layers import Layer, LRNLayer, PoolingLayer


def halved(name: str, bottom: str) -> Layer:
    """Maxima of overlapping windows, 3 by 3 and 2 apart."""
    return PoolingLayer(name=name, kernel=3, stride=2, bottoms=[bottom], tops=[name])


def normalised(name: str, bottom: str) -> Layer:
    """Local response normalisation over five channels, as Krizhevsky's net has it."""
    return LRNLayer(name=name, kernel=5, scale=1e-4, shift=1.0, power=0.75, bottoms=[bottom], tops=[name])
