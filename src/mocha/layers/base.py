"""What a layer is: a frozen record that says its parameters and writes itself as ops into a graph.

It owns no arrays and knows no device. A layer of your own is a class with fields and a `lower`:

    class Swish(Layer):
        beta: float = 1.0

        def lower(self, g, inputs, params):
            return [g(Multiply(), x, g(Sigmoid(), g(Scale(self.beta), x))) for x in inputs]

The class becomes a frozen keyword-only dataclass by itself. Its gradient comes from the ops.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn, Self, dataclass_transform

from mocha.errors import ConfigError, did_you_mean
from mocha.graph import Graph, Value
from mocha.layers.facts import facts
from mocha.ops import Shape, Spec
from mocha.parameters import ParameterSpec


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=False, field_specifiers=(dataclasses.field,))
class _Record:
    """Makes every subclass a frozen, keyword-only dataclass whose mistakes are `ConfigError`s."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)
        _explain_arguments(cls)


def _explain_arguments(cls: type) -> None:
    """Wrap the generated __init__, so that a wrong or missing property is told in the layer's words."""
    generated = cls.__dict__["__init__"]
    fields = {f.name: f for f in dataclasses.fields(cls)}
    required = [
        n for n, f in fields.items() if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]

    @functools.wraps(generated)
    def explained(self: Any, *args: Any, **properties: Any) -> None:
        title = f"{cls.__name__}({properties.get('name', '')!r})"
        if args:
            raise ConfigError(f"{title}: properties are given by keyword, as name=..., not by position.")
        for given in properties:
            if given not in fields:
                raise ConfigError(f"{title}: there is no property {given!r}. {did_you_mean(given, fields)}")
        missing = [n for n in required if n not in properties]
        if missing:
            raise ConfigError(f"{title}: {', '.join(missing)} must be given.")
        generated(self, **properties)

    cls.__init__ = explained  # type: ignore[misc]


@dataclasses.dataclass(frozen=True)
class Borrowed:
    """A parameter of another layer, of the same net or of another one on the same backend.

    Attributes:
        key: the key under which the other layer's parameters are kept: its `param_key`, or its name.
        name: weight, filter, bias, ...
        learns: whether a gradient goes into it from this layer too.
    """

    key: str
    name: str
    learns: bool = False


class Layer(_Record, ABC):
    """A layer of a net.

    Args:
        name: unique among the layers of a net that have parameters, a loss or statistics.
        bottoms: names of the blobs that come in.
        tops: names of the blobs that go out.
    """

    name: str
    bottoms: Sequence[str] = ()
    tops: Sequence[str] = ()

    n_bottoms: ClassVar[int | None] = None
    """How many bottoms: None for one or more."""
    n_tops: ClassVar[int | None] = None
    """How many tops: None for as many as bottoms."""
    in_place: ClassVar[bool] = False
    """The layer has no tops: it gives its bottoms new values, under the same names."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"{type(self).__name__}: name is {self.name!r}; expected a name.")
        for side in ("bottoms", "tops"):
            names = getattr(self, side)
            if isinstance(names, str) or not all(isinstance(n, str) and n for n in names):
                self.wrong(side, names, "a list of blob names")
            self.settle(side, tuple(names))
        self._check_counts()
        self.check()

    def _check_counts(self) -> None:
        n_tops = 0 if self.in_place else len(self.bottoms) if self.n_tops is None else self.n_tops
        if self.n_bottoms is None:
            if not self.bottoms:
                self.wrong("bottoms", list(self.bottoms), "at least one blob name")
        elif len(self.bottoms) != self.n_bottoms:
            self.wrong("bottoms", list(self.bottoms), f"{self.n_bottoms} blob names")
        if len(self.tops) != n_tops:
            self.wrong(
                "tops", list(self.tops), f"{n_tops} blob names" if n_tops else "none, for this layer has no tops"
            )
        if len(set(self.tops)) != len(self.tops):
            self.wrong("tops", list(self.tops), "distinct names")

    def check(self) -> None:
        """Look at the properties, call `wrong` for one that cannot be. Override it; the base has none to look at."""

    def parameters(self, *inputs: Spec) -> Sequence[ParameterSpec]:
        """The parameters that the layer wants, given the specs of its bottoms. The base wants none."""
        return ()

    def borrows(self) -> Sequence[Borrowed]:
        """The parameters of other layers that this one reads.

        `parameters` gets their specs behind those of the bottoms, `lower` their values behind the layer's own. The
        base borrows none.
        """
        return ()

    @abstractmethod
    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """Write the layer into the graph.

        Args:
            g: the graph; `g(op, *inputs)` applies an op, `g.phase` tells training from testing.
            inputs: the values of the bottoms.
            params: the values of the parameters, in the order of `parameters`.

        Returns:
            the values of the tops; of the bottoms anew, if the layer works in place.
        """

    def tell(self) -> tuple[str, list[str]]:
        """For listings and pictures: the type, and the main properties in a few words each.

        The properties are those that are not the default, unless you override it.
        """
        return type(self).__name__.removesuffix("Layer"), facts(self)

    def settle(self, field: str, value: object) -> None:
        """Set a property to its normal form, while the layer is being made."""
        object.__setattr__(self, field, value)

    def wrong(self, field: str, received: object, expected: str) -> NoReturn:
        """Refuse a property.

        Raises:
            ConfigError: always; it names the layer, the property, what was received and what was expected.
        """
        raise ConfigError(f"{type(self).__name__}({self.name!r}): {field} is {received!r}; expected {expected}.")

    def copy(self, **changes: Any) -> Self:
        """The same layer with some properties changed, checked anew."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return type(self)(**{**fields, **changes})

    def __repr__(self) -> str:
        told = [f"name={self.name!r}"]
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if f.name != "name" and not _same(value, f):
                told.append(f"{f.name}={list(value) if f.name in ('bottoms', 'tops') else value!r}")
        return f"{type(self).__name__}({', '.join(told)})"


def _same(value: object, field: dataclasses.Field[Any]) -> bool:
    """Whether a property has its default."""
    if isinstance(field.default, (str, int, float, bool, tuple)) and isinstance(value, (str, int, float, bool, tuple)):
        return value == field.default
    return value is field.default


def key_of(layer: Layer) -> str:
    """The key under which a layer's parameters are kept: its `param_key` if it has one, else its name."""
    return getattr(layer, "param_key", "") or layer.name


def positive_int(layer: Layer, field: str) -> None:
    """The property must be a whole number >= 1."""
    value = getattr(layer, field)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        layer.wrong(field, value, "a whole number >= 1")


def number(layer: Layer, field: str, low: float = 0.0) -> None:
    """The property must be a finite number, at least `low`."""
    value = getattr(layer, field)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value < float("inf"):
        layer.wrong(field, value, f"a number >= {low:g}")


def finite(layer: Layer, field: str) -> None:
    """The property must be a finite number, of either sign."""
    value = getattr(layer, field)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        layer.wrong(field, value, "a finite number")


def pair(layer: Layer, field: str, low: int) -> None:
    """The property becomes (height, width); a single int means both. Each must be at least `low`."""
    value = getattr(layer, field)
    both = (value, value) if isinstance(value, int) and not isinstance(value, bool) else value
    fits = isinstance(both, (tuple, list)) and len(both) == 2
    if not fits or any(isinstance(n, bool) or not isinstance(n, int) or n < low for n in both):
        layer.wrong(field, value, f"(height, width), or one number for both, each a whole number >= {low}")
    layer.settle(field, tuple(both))


def as_pair(value: int | tuple[int, int]) -> Shape:
    """A settled pair, for the type checker."""
    return (value, value) if isinstance(value, int) else value


def dimension(layer: Layer, field: str) -> None:
    """The property must be the number of an axis, counted from the front: 0 is the batch, 1 the channels."""
    value = getattr(layer, field)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        layer.wrong(
            field, value, "the number of an axis, from 0 for the batch and 1 for the channels (Mocha.jl's -2 is 1 here)"
        )


def class_axis(layer: Layer) -> None:
    """The property `dim` must be the number of an axis, and not that of the batch."""
    dimension(layer, "dim")
    dim = layer.dim  # type: ignore[attr-defined]
    if dim == 0:
        layer.wrong("dim", dim, "another axis than the batch")
