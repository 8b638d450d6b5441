"""How the pixels of one top lie on those of another, to crop one to the other.

Along an axis, what lies at the point x of a layer's bottom lies at ``a x + b`` of its top: for a stride of 2, a is 1/2.
A map is ``(axis, a, b)``: the last axis before the spatial ones (None if any), and numbers or arrays with an entry for
each spatial axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mocha.caffe.net_spec import Function, Top, layers
from mocha.errors import ConfigError, TopologyError

Map = tuple[int | None, Any, Any]

PASS_THROUGH_LAYERS = (
    "AbsVal", "BatchNorm", "Bias", "BNLL", "Clip", "Dropout", "Eltwise", "ELU", "Exp", "Log", "LRN", "MVN", "Power",
    "PReLU", "ReLU", "Scale", "Sigmoid", "Split", "Swish", "TanH", "Threshold",
)  # fmt: skip
"""Layers whose tops lie on their bottoms, pixel on pixel."""

_LEGACY = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"}


class UndefinedMapException(TopologyError):
    """A layer has no map: what its pixels look at is no grid of the bottom's."""


class AxisMismatchException(TopologyError):
    """Two layers disagree on which axes are spatial."""


class UnconnectedTops(TopologyError, RuntimeError):
    """No chain of layers with maps leads from one top to the other."""


class ImpossibleCrop(ConfigError, AssertionError):
    """One top does not cover the other, pixel on pixel."""


def coord_map(fn: Function) -> Map:
    """The map of a layer, from its bottom's pixels to its top's.

    Raises:
        UndefinedMapException: the layer has none.
        ConfigError: sizes are given as height and width.
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = _window(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = _window(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return None, 1, 0
    if fn.type_name == "Crop":
        crop_param = fn.params.get("crop_param", fn.params)
        return crop_param.get("axis", 2) - 1, 1, -np.array(crop_param.get("offset", 0), ndmin=1)
    raise UndefinedMapException(f"a layer of type {fn.type_name} has no map of coordinates.")


def _window(fn: Function) -> tuple[int, Any, Any, Any]:
    """Axis, stride, kernel with dilation, and padding, an entry for each spatial axis, or one for all."""
    own = "pooling_param" if fn.type_name == "Pooling" else "convolution_param"
    given = fn.params.get(own, fn.params)
    if legacy := _LEGACY & set(given):
        raise ConfigError(f"{fn.type_name}: {sorted(legacy)}; expected kernel_size, stride and pad, as lists.")
    if "kernel_size" not in given:
        raise ConfigError(f"{fn.type_name}: no kernel_size, which its map needs. Give it as a number or a list.")
    kernel, dilation = np.array(given["kernel_size"], ndmin=1), np.array(given.get("dilation", 1), ndmin=1)
    stride, pad = np.array(given.get("stride", 1), ndmin=1), np.array(given.get("pad", 0), ndmin=1)
    return given.get("axis", 1), stride, (kernel - 1) * dilation + 1, pad


def compose(base_map: Map, next_map: Map) -> Map:
    """The map that does `next_map` first and `base_map` then: ``a1 (a2 x + b2) + b1``.

    Raises:
        AxisMismatchException: they are about different axes.
    """
    axis1, a1, b1 = base_map
    axis2, a2, b2 = next_map
    if None not in (axis1, axis2) and axis1 != axis2:
        raise AxisMismatchException(f"maps of axes after {axis1} and after {axis2} cannot be put together.")
    return (axis2 if axis1 is None else axis1), a1 * a2, a1 * b2 + b1


def inverse(coord_map: Map) -> Map:
    """The map back."""
    axis, a, b = coord_map
    return axis, 1 / a, -b / a


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from the pixels of one top to those of another, over a blob that both come from.

    Raises:
        UnconnectedTops: there is none that both come from by layers with maps.
        AxisMismatchException: layers on the way disagree on the axes.
    """
    ways_from = dict(_ways_back(top_from))
    for top, way in _ways_back(top_to):
        if top in ways_from:
            return compose(way, inverse(ways_from[top]))
    raise UnconnectedTops("Could not compute map between tops; are they connected by spatial layers?")


def _ways_back(start: Top) -> list[tuple[Top, Map]]:
    """All tops that a top comes from, each with the map from there to it, the nearest first."""
    found: dict[Top, Map] = {start: (None, 1, 0)}
    queue = [start]
    for top in queue:  # grows while it is gone through
        try:
            step = coord_map(top.fn)
        except UndefinedMapException:
            continue
        # The second bottom of Crop only says how large the top shall be.
        for bottom in top.fn.inputs[:1] if top.fn.type_name == "Crop" else top.fn.inputs:
            if bottom not in found:
                found[bottom] = compose(found[top], step)
                queue.append(bottom)
    return list(found.items())


def crop(top_from: Top, top_to: Top) -> Any:
    """A Crop layer that cuts `top_from` to what lies on `top_to`.

    Raises:
        ImpossibleCrop: their pixels have different sizes, do not lie on each other, or `top_from` does not cover
            `top_to`.
        UnconnectedTops: see `coord_map_from_to`.
    """
    axis, a, b = coord_map_from_to(top_from, top_to)
    if not np.allclose(a, 1):
        raise ImpossibleCrop(f"scale mismatch on crop (a = {a}): the tops' pixels differ in size.")
    offset = -np.rint(np.atleast_1d(b)).astype(int)
    if not np.allclose(-offset, b):
        raise ImpossibleCrop(f"cannot crop noninteger offset (b = {b}): the tops' pixels do not lie on each other.")
    if (offset < 0).any():
        raise ImpossibleCrop(f"cannot crop negative offset (b = {b}): the first top is too small.")
    return layers.Crop(
        top_from, top_to, crop_param={"axis": (1 if axis is None else axis) + 1, "offset": offset.tolist()}
    )
