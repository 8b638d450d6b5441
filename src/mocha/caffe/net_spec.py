"""Nets written in Python: ``n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20)``.

A call of a layer's type gives its tops, which are inputs of further calls. Assigned to attributes of a `NetSpec` they
get their names, and `NetSpec.to_proto` gives the `NetParameter`::

    from mocha.caffe import layers as L, params as P, NetSpec

    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 32, 32]))
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"))
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    net = n.to_proto()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mocha.caffe.proto import caffe_pb2
from mocha.errors import ConfigError, did_you_mean

_SUFFIX = "Parameter"


class NotATop(ConfigError, TypeError):
    """An input of a layer is not the top of another."""


def _own_messages() -> dict[str, str]:
    """Layer type to the field of `LayerParameter` with its parameters: "Convolution" to "convolution_param"."""
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields
    return {
        field.message_type.name.removesuffix(_SUFFIX): field.name for field in fields if field.name.endswith("_param")
    }


_OWN = _own_messages()


class Top:
    """The output number `n` of a `Function`."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> Any:
        """The net that computes this top, with names made of types and numbers."""
        return to_proto(self)


class Function:
    """A layer: its type, inputs and parameters. It is called for by `layers`.

    Args:
        type_name: the type, as "Convolution".
        inputs: tops of other layers.
        params: its parameters: ``ntop``, the number of its tops (1); ``in_place``, to write on the inputs; a name that
            ends in "param" is a field of `LayerParameter`; any other is one of the type's own message, or else of
            `LayerParameter`. A dictionary is a message, a list a repeated field; one value is a list of one.

    Raises:
        NotATop: an input is something else, as the tuple that a layer with two tops gives.
    """

    def __init__(self, type_name: str, inputs: Iterable[Top], params: Mapping[str, Any]) -> None:
        self.type_name = type_name
        self.inputs = tuple(inputs)
        for at, top in enumerate(self.inputs):
            if not isinstance(top, Top):
                raise NotATop(f"{type_name} input {at} is not a Top (type is {type(top)})")
        self.params = dict(params)
        self.ntop = self.params.pop("ntop", 1)
        self.in_place = self.params.pop("in_place", False)
        if isinstance(self.ntop, bool) or not isinstance(self.ntop, int) or self.ntop < 0:
            raise ConfigError(f"{type_name}: ntop is {self.ntop!r}; expected the number of its tops.")
        if self.in_place and self.ntop != len(self.inputs):
            raise ConfigError(f"{type_name}: in_place with {len(self.inputs)} inputs, but ntop is {self.ntop}.")
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def to_proto(self) -> Any:
        """The net that this layer is the last of."""
        return to_proto(self)


class NetSpec:
    """Tops by name. Attributes and items are the same: ``n.conv1`` is ``n["conv1"]``.

    A name is that of the top and, for the first top of a layer, of the layer. Layers without tops are assigned too.
    """

    def __init__(self) -> None:
        super().__setattr__("tops", {})
        self.tops: dict[str, Top | Function]

    def __setattr__(self, name: str, value: Top | Function) -> None:
        if not isinstance(value, (Top, Function)):
            raise NotATop(f"{name!r} is assigned a value of {type(value)}; expected what a call of a layer gives.")
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self.tops[name]
        except KeyError:
            raise AttributeError(f"the net has no top {name!r} yet. {did_you_mean(name, self.tops)}") from None

    def __delattr__(self, name: str) -> None:
        if name not in self.tops:
            raise AttributeError(f"the net has no top {name!r}. {did_you_mean(name, self.tops)}")
        del self.tops[name]

    def __setitem__(self, name: str, value: Top | Function) -> None:
        setattr(self, name, value)

    def __getitem__(self, name: str) -> Any:
        return self.tops[name]

    def __delitem__(self, name: str) -> None:
        del self.tops[name]

    def __contains__(self, name: object) -> bool:
        return name in self.tops

    def __iter__(self) -> Iterator[str]:
        return iter(self.tops)

    def keys(self) -> list[str]:
        """The names, in the order in which they were given."""
        return list(self.tops)

    def vals(self) -> list[Top | Function]:
        """The tops, in the same order."""
        return list(self.tops.values())

    def update(self, other: Mapping[str, Top | Function] | NetSpec) -> None:
        """Take over the names and tops of another net or dictionary."""
        for name, top in (other.tops if isinstance(other, NetSpec) else other).items():
            setattr(self, name, top)

    def to_proto(self) -> Any:
        """The net: a `NetParameter` with the layers that the assigned tops need, each after those that it reads.

        Raises:
            ConfigError: a layer has no such parameter, or it cannot have such a value.
        """
        return _Writer({top: name for name, top in self.tops.items()}).net(self.tops.values())


def to_proto(*tops: Top | Function) -> Any:
    """The net that computes these tops, with names made of types and numbers: Convolution1, Convolution2, ...

    Raises:
        ConfigError: a layer has no such parameter, or it cannot have such a value.
    """
    return _Writer({}).net(tops)


class _Writer:
    """Writes layers, each once and after what it reads. It is no recursion: nets may have thousands of layers."""

    def __init__(self, names: dict[Top | Function, str]) -> None:
        self.names = names
        self.numbers: Counter[str] = Counter()
        self.layers: dict[Function, Any] = {}

    def net(self, tops: Iterable[Top | Function]) -> Any:
        for top in tops:
            self.write(top.fn if isinstance(top, Top) else top)
        return caffe_pb2.NetParameter(layer=self.layers.values())

    def write(self, last: Function) -> None:
        stack = [last]
        while stack:
            fn = stack[-1]
            needed = next((top.fn for top in fn.inputs if top.fn not in self.layers), None)
            if needed is not None:
                stack.append(needed)
                continue
            stack.pop()
            if fn not in self.layers:
                self.layers[fn] = self.layer(fn)

    def layer(self, fn: Function) -> Any:
        layer = caffe_pb2.LayerParameter(type=fn.type_name)
        layer.bottom.extend(self.layers[top.fn].top[top.n] for top in fn.inputs)
        layer.top.extend(layer.bottom if fn.in_place else [self.name(top, fn) for top in fn.tops])
        layer.name = self.name(fn.tops[0] if fn.tops else fn, fn)
        where = f"{fn.type_name} {layer.name!r}"
        own = _OWN.get(fn.type_name, "")
        own_fields = getattr(layer, own).DESCRIPTOR.fields_by_name if own else {}
        for name, value in fn.params.items():
            in_own = name in own_fields and not name.endswith("param")
            _assign(getattr(layer, own) if in_own else layer, name, value, where)
        return layer

    def name(self, item: Top | Function, fn: Function) -> str:
        if item not in self.names:
            self.numbers[fn.type_name] += 1
            self.names[item] = f"{fn.type_name}{self.numbers[fn.type_name]}"
        return self.names[item]


def _assign(message: Any, name: str, value: Any, where: str) -> None:
    field = message.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise ConfigError(f"{where} has no parameter {name!r}. {did_you_mean(name, message.DESCRIPTOR.fields_by_name)}")
    current = getattr(message, name)
    try:
        if hasattr(current, "extend"):
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if field.message_type is None:
                    current.append(item)
                else:
                    _merge(current.add(), item, f"{where}, {name}")
        elif field.message_type is not None:
            current.SetInParent()
            _merge(current, value, f"{where}, {name}")
        else:
            setattr(message, name, value)
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{where}: {name!r} cannot be {value!r}: {error}") from error


def _merge(message: Any, value: Any, where: str) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _assign(message, name, inner, where)
    else:
        message.CopyFrom(value)


class Layers:
    """The namespace of layers: ``layers.Convolution(top, kernel_size=3)``, for any type.

    A call gives a `Top`, a tuple of them where ``ntop`` is more than 1, and the `Function` itself where it is 0.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer(*inputs: Top, **params: Any) -> Top | tuple[Top, ...] | Function:
            fn = Function(name, inputs, params)
            return fn if fn.ntop == 0 else fn.tops[0] if fn.ntop == 1 else fn.tops

        return layer


class _Values:
    """The enum values of one message."""

    def __init__(self, message: Any) -> None:
        self._message = message

    def __getattr__(self, name: str) -> int:
        enums = self._message.DESCRIPTOR.enum_types
        values = {value.name: value.number for enum in enums for value in enum.values}
        if name not in values:
            raise AttributeError(f"{self._message.DESCRIPTOR.name} has no value {name!r}. {did_you_mean(name, values)}")
        return int(values[name])


class Parameters:
    """The namespace of enum values: ``params.Pooling.MAX``."""

    def __getattr__(self, name: str) -> _Values:
        message = getattr(caffe_pb2, name + _SUFFIX, None)
        if message is None:
            raise AttributeError(f"Caffe has no message {name + _SUFFIX!r}.")
        return _Values(message)


layers = Layers()
params = Parameters()
