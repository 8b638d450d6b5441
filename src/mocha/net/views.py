"""Blobs and parameters of a net by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mocha.errors import StateError, did_you_mean
from mocha.ops import Array
from mocha.parameters import Parameter

if TYPE_CHECKING:
    from mocha.net.net import Net


class BlobView(Mapping[str, Array]):
    """The blobs, or the gradients, that the last run kept. Each look-up copies."""

    def __init__(self, net: Net, *, gradient: bool) -> None:
        self._net = net
        self._gradient = gradient

    def __getitem__(self, name: str) -> Array:
        last = self._net.last
        return last.gradient(name) if self._gradient else last.blob(name)

    def __contains__(self, name: object) -> bool:
        return name in self._known()

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def _known(self) -> Mapping[str, object]:
        program = self._net.last.program
        return program.gradients if self._gradient else program.blobs


class LayerParameters(Mapping[str, Array]):
    """The parameters of one layer by name: reading copies, assigning writes."""

    def __init__(self, net: Net, layer: str, parameters: Mapping[str, Parameter]) -> None:
        self._net = net
        self._layer = layer
        self._parameters = parameters

    def _find(self, name: str) -> Parameter:
        if name not in self._parameters:
            raise StateError(f"layer {self._layer!r} has no parameter {name!r}. {did_you_mean(name, self._parameters)}")
        return self._parameters[name]

    def __getitem__(self, name: str) -> Array:
        parameter = self._find(name)
        self._net.init()
        return self._net.backend.store.read(parameter.key)

    def __setitem__(self, name: str, values: npt.ArrayLike) -> None:
        self._net.backend.registry.assign(self._find(name), np.asarray(values))

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)


class ParameterView(Mapping[str, LayerParameters]):
    """The layers that have parameters, by name."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._layers = net.parameters_by_layer()

    def __getitem__(self, layer: str) -> LayerParameters:
        if layer not in self._layers:
            raise StateError(
                f"net {self._net.name!r} has no layer {layer!r} with parameters. {did_you_mean(layer, self._layers)}"
            )
        return LayerParameters(self._net, layer, {p.about.name: p for p in self._layers[layer]})

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)
