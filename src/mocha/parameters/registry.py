"""The registry: which parameters a backend holds, under which key. Layers with one key share them.

A parameter belongs to the backend, not to a net: a training net and its validation net on one backend, made of the
same layers, have the same parameters. The one who asks first creates it, with its initializer, regularizer,
constraint and rate; who asks later gets it as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from mocha.console import logger
from mocha.errors import ConfigError, ShapeError, did_you_mean
from mocha.ops import Array, Spec
from mocha.parameters.constraints import Constraint
from mocha.parameters.initializers import Initializer
from mocha.parameters.regularizers import Regularizer
from mocha.random import Draw, stream_of


class Store(Protocol):
    """The arrays of a backend that outlive a run, by key. Arrays go in and come out as row-major NumPy arrays."""

    def allocate(self, key: str, array: Array) -> None:
        """Make a new array with these values; an old one of that key is dropped."""

    def read(self, key: str) -> Array:
        """A copy of the values."""

    def view(self, key: str) -> Array:
        """An array that shows the values, and through which they can be changed; who does that calls `changed`."""

    def changed(self) -> None:
        """Values were changed through a `view`."""

    def write(self, key: str, array: Array) -> None:
        """Overwrite the values; shape and type are those allocated."""

    def free(self, key: str) -> None:
        """Drop the array, if it is there."""

    def __contains__(self, key: object) -> bool: ...


@dataclasses.dataclass(frozen=True)
class ParameterSpec:
    """What a layer says about one of its parameters.

    Attributes:
        name: weight, filter, bias, ...
        spec: shape and type.
        initializer: its first values.
        regularizer: the penalty on it.
        constraint: the bound on it.
        rate: its own multiple of the learning rate, >= 0.
        learned: False for what is kept with the parameters, at the rate 0, but not meant to learn: running statistics.
    """

    name: str
    spec: Spec
    initializer: Initializer
    regularizer: Regularizer
    constraint: Constraint
    rate: float = 1.0
    learned: bool = True


@dataclasses.dataclass(eq=False)
class Parameter:
    """A parameter in the registry.

    Attributes:
        key: its key in the store and in files: ``<param_key>___<name>``.
        about: what its creator said about it.
        initialized: whether it has values: from its initializer, from a file, or from the user.
    """

    key: str
    about: ParameterSpec
    initialized: bool = False


def parameter_key(layer_or_key: str, name: str) -> str:
    """The name under which a parameter is stored and saved, Mocha's: three underscores between its two parts."""
    return f"{layer_or_key}___{name}"


class Registry:
    """The parameters of one backend.

    Args:
        store: the backend's arrays.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._groups: dict[str, tuple[Parameter, ...]] = {}
        self._told: set[tuple[str, str]] = set()  # sharers whose differing settings were warned about

    def __iter__(self) -> Iterator[Parameter]:
        for group in self._groups.values():
            yield from group

    def claim(self, layer: str, param_key: str, specs: Sequence[ParameterSpec]) -> tuple[Parameter, ...]:
        """The parameters of that key: those that are there, if they fit, else new ones, not yet initialized.

        Args:
            layer: who asks, for messages.
            param_key: the key.
            specs: what the layer wants.

        Raises:
            ShapeError: there are parameters of that key with other names, shapes or types, or there is no memory.
        """
        known = self._groups.get(param_key)
        if known is None:
            known = tuple(Parameter(parameter_key(param_key, s.name), s) for s in specs)
            for p in known:
                try:
                    self.store.allocate(p.key, np.zeros(p.about.spec.shape, p.about.spec.dtype))
                except (MemoryError, ValueError) as error:  # NumPy has one for each way of being too large
                    for done in known[: known.index(p)]:
                        self.store.free(done.key)
                    raise ShapeError(
                        f"layer {layer!r}: its parameter {p.about.name!r} of {p.about.spec} does not fit into memory; "
                        "use fewer outputs, or a smaller input."
                    ) from error
            self._groups[param_key] = known
            return known
        self._check_fit(layer, param_key, known, specs)
        return known

    def find(self, param_key: str, name: str) -> Parameter:
        """A parameter that is there already.

        Raises:
            ConfigError: there is none of that key and name.
        """
        for parameter in self._groups.get(param_key, ()):
            if parameter.about.name == name:
                return parameter
        raise ConfigError(
            f"the backend holds no {name} under the key {param_key!r}; expected a layer of that key in the same net, "
            f"or in a net on the same backend that was made before. {did_you_mean(param_key, self._groups)}"
        )

    def group(self, parameter: Parameter) -> tuple[str, tuple[Parameter, ...]]:
        """The key that a parameter is under, and all parameters of that key."""
        return next((key, group) for key, group in self._groups.items() if parameter in group)

    def _check_fit(
        self, layer: str, param_key: str, known: Sequence[Parameter], specs: Sequence[ParameterSpec]
    ) -> None:
        have = ", ".join(f"{p.about.name} {p.about.spec}" for p in known)
        want = ", ".join(f"{s.name} {s.spec}" for s in specs)
        if have != want:
            raise ShapeError(
                f"layer {layer!r}: the backend already holds parameters under the key {param_key!r} ({have}), which "
                "do not "
                f"fit this layer ({want}). Give the layer another name or param_key, or forget the old ones with "
                "registry_reset(backend)."
            )
        for p, s in zip(known, specs, strict=True):
            mine, theirs = (
                (s.regularizer, s.constraint, s.rate),
                (p.about.regularizer, p.about.constraint, p.about.rate),
            )
            if mine != theirs and (layer, p.key) not in self._told:
                self._told.add((layer, p.key))
                logger().warning(
                    "layer %r shares %s: its regularizer, constraint and rate stay those of the layer that created it.",
                    layer,
                    p.key,
                )

    def initialize(self, parameter: Parameter, seed: int) -> None:
        """Give a parameter the first values that belong to the seed and its key."""
        about = parameter.about
        draw = Draw(seed, stream_of("parameter", parameter.key))
        values = np.asarray(about.initializer.values(about.spec.shape, draw))
        if values.shape != about.spec.shape:
            raise ConfigError(
                f"{type(about.initializer).__name__} gave {values.shape} values for {parameter.key}; expected "
                f"{about.spec.shape}."
            )
        self.store.write(parameter.key, values.astype(about.spec.dtype))
        parameter.initialized = True

    def assign(self, parameter: Parameter, values: Array) -> None:
        """Give a parameter values from outside.

        Raises:
            ShapeError: the shape is another one.
        """
        spec = parameter.about.spec
        if values.shape != spec.shape:
            raise ShapeError(
                f"parameter {parameter.key}: received values of shape {values.shape}; expected {spec.shape}."
            )
        self.store.write(parameter.key, np.ascontiguousarray(values, spec.dtype))
        parameter.initialized = True

    def reset(self) -> None:
        """Forget all parameters."""
        for parameter in self:
            self.store.free(parameter.key)
        self._groups.clear()
