"""A layer's main properties in a few words each: 20 filters 5x5, stride 2, ReLU."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from mocha.graph.listing import shape_text
from mocha.layers.neurons import Identity

_UNTOLD = ("_init", "_regu", "_cons", "_lr", "_weights", "_key")
"""How the names of properties end that say how parameters begin, learn and are kept."""


def facts(layer: Any) -> list[str]:
    """The properties of a record, those in which layers of its kind usually differ or that are not the default.

    First values, regularisation, bounds and rates of parameters are left out.
    """
    fields = {field.name: field.default for field in dataclasses.fields(layer)}
    told = [words(getattr(layer, name)) for name, words in _ALWAYS.items() if name in fields]
    for name in (name for name in fields if name not in _ALWAYS and not name.endswith(_UNTOLD)):
        value, default = getattr(layer, name), fields[name]
        if name in _SIZES:
            told += [f"{name} {_size(value)}"] if value not in (default, (default, default)) else []
        elif isinstance(value, (bool, int, float)) and value != default:
            told.append(_property(name, value))
    if getattr(layer, "global_pooling", False):
        told = [words for words in told if not words.startswith("kernel")]
    if told[1:] and told[0].endswith(" filters") and told[1].startswith("kernel "):
        told[:2] = [f"{told[0]} {told[1].removeprefix('kernel ')}"]
    return [*told, *filter(None, [neuron_of(layer)])]


def neuron_of(layer: Any) -> str:
    """The name of a layer's activation, "" for none."""
    neuron = getattr(layer, "neuron", None)
    return "" if neuron is None or isinstance(neuron, Identity) else type(neuron).__name__


def _size(value: Any) -> str:
    """(2, 2) -> '2', (2, 1) -> '2x1'."""
    sides = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return str(sides[0]) if len(set(sides)) == 1 else shape_text(sides)


def _property(name: str, value: bool | int | float) -> str:
    title = name.replace("_", " ")
    if isinstance(value, bool):
        return title if value else f"no {title.removesuffix(' term')}"
    return f"{title} {value}" if isinstance(value, int) else f"{title} {value:g}"


def _kind(value: Any) -> str:
    return type(value).__name__


_SIZES = ("stride", "pad", "dilation")

_ALWAYS: dict[str, Callable[[Any], str]] = {
    "n_filter": "{} filters".format,
    "output_dim": "{} outputs".format,
    "n_class": "{} classes".format,
    "kernel": lambda value: f"kernel {shape_text(value) if isinstance(value, (tuple, list)) else value}",
    "crop_size": lambda value: f"to {shape_text(value)}",
    "shape": lambda value: f"to {shape_text(value)}",
    "pooling": lambda value: _kind(value).removesuffix("PoolingFunction").lower(),
    "operation": _kind,
    "ratio": "ratio {:g}".format,
    "batch_size": "batches of {}".format,
}
"""Property -> its words, of those that are always told."""
