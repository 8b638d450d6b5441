"""The words of which the schema is written: messages, their fields and their enums."""

from __future__ import annotations

from typing import NamedTuple


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: its number in the binary format.
        name: its name in the text format.
        type: a scalar type, or the name of an enum or a message; an enum of another message as ``Message.Enum``.
        label: "optional", "required", "repeated", or "packed" for a repeated one whose numbers lie side by side.
        default: what it reads as when absent, as the text format writes it; None for zero or empty.
    """

    number: int
    name: str
    type: str
    label: str
    default: str | None = None


class Enum(NamedTuple):
    """An enum: its name, and its values as ``NAME=number`` with spaces between."""

    name: str
    values: str

    def items(self) -> list[tuple[str, int]]:
        """The values, each as name and number."""
        pairs = (item.partition("=") for item in self.values.split())
        return [(name, int(number)) for name, _, number in pairs]


class Message(NamedTuple):
    """A message: its name, its fields in order of number, and the enums that are declared within it."""

    name: str
    fields: tuple[Field, ...]
    enums: tuple[Enum, ...] = ()


def optional(number: int, name: str, kind: str, default: str | None = None) -> Field:
    """A field that may be absent."""
    return Field(number, name, kind, "optional", default)


def required(number: int, name: str, kind: str) -> Field:
    """A field without which the whole file is refused."""
    return Field(number, name, kind, "required")


def repeated(number: int, name: str, kind: str) -> Field:
    """A list."""
    return Field(number, name, kind, "repeated")


def packed(number: int, name: str, kind: str) -> Field:
    """A list of numbers that lie side by side in the binary format."""
    return Field(number, name, kind, "packed")


ENGINE = Enum("Engine", "DEFAULT=0 CAFFE=1 CUDNN=2")
POOL_METHOD = Enum("PoolMethod", "MAX=0 AVE=1 STOCHASTIC=2")
DIM_CHECK_MODE = Enum("DimCheckMode", "STRICT=0 PERMISSIVE=1")
