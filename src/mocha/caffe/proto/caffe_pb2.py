"""Caffe's message classes and enum values, under the names that protoc's module of the same name has.

`NetParameter`, `LayerParameter`, `TRAIN`, `PoolingParameter.MAX` and so on: see the tables in
`mocha.caffe.proto.schema`. Unlike protoc's, these classes do not register in the process's default descriptor pool.
"""

from __future__ import annotations

from typing import Any

from mocha.caffe.proto.build import build

DESCRIPTOR, _NAMES = build()

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    try:
        return _NAMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return [*__all__, "DESCRIPTOR"]
