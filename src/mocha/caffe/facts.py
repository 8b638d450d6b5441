"""A layer's main properties in a few words each, from its message: 20 filters 5x5, stride 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

_MOST = 8  # numbers of a list that are told
_UNTOLD = {"engine", "force_nd_im2col", "num_output", "kernel_size", "kernel", "stride", "pad", "pool", "group"}


def facts(layer: Any) -> list[str]:
    """What a `LayerParameter` says beyond the defaults. Fillers are left out.

    Args:
        layer: the message.
    """
    told: list[str] = []
    for field, given in layer.ListFields():
        if field.name.endswith("_param"):
            told += [*_windows(layer.type, given), *_others(given)]
    return told


def _windows(kind: str, given: Any) -> Iterator[str]:
    """Outputs, windows and steps."""
    fields = given.DESCRIPTOR.fields_by_name
    size = sizes(given, "kernel", 0) if "kernel_size" in fields else "0"
    if "num_output" in fields:
        window = f" {size if 'x' in size else f'{size}x{size}'}" if size != "0" else ""
        yield f"{given.num_output} {'filters' if 'kernel_size' in fields else 'outputs'}{window}"
    elif size != "0" and not getattr(given, "global_pooling", False):
        yield f"kernel {size if 'x' in size else f'{size}x{size}'}"
    if "pool" in fields:
        yield fields["pool"].enum_type.values_by_number[given.pool].name.lower()
    for name, default in (("stride", "1"), ("pad", "0")):
        if name in fields and (step := _step(sizes(given, name, int(default)))) != default:
            yield f"{name} {step}"
    if getattr(given, "group", 1) != 1:
        yield f"{given.group} groups"


def _step(size: str) -> str:
    """2x2 -> 2."""
    return size.partition("x")[0] if len(set(size.split("x"))) == 1 else size


def _others(given: Any) -> Iterator[str]:
    for field, value in given.ListFields():
        name = field.name.removesuffix("_h").removesuffix("_w")
        if name in _UNTOLD or field.type in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_BYTES):
            continue
        title = field.name.replace("_", " ")
        values = list(value)[:_MOST] if field.is_repeated else [value]
        if not field.is_repeated and value == field.default_value:
            continue
        if isinstance(values[0], bool):
            yield title if values[0] else f"no {title.removesuffix(' term')}"
        elif name == "batch_size":
            yield f"batches of {value}"
        else:
            yield f"{title} {', '.join(_text(field, one) for one in values)}"


def _text(field: Any, value: Any) -> str:
    if field.enum_type is not None:
        found = field.enum_type.values_by_number.get(value)
        return found.name.lower() if found is not None else str(value)
    if isinstance(value, str):
        return PurePath(value).name
    return f"{value:g}" if isinstance(value, float) else str(value)


def sizes(given: Any, name: str, default: int) -> str:
    """A size along all axes, "5", or one an axis, "3x5", of fields such as `kernel_size`, `kernel_h`, `kernel_w`."""
    if given.HasField(f"{name}_h") or given.HasField(f"{name}_w"):
        return f"{getattr(given, f'{name}_h')}x{getattr(given, f'{name}_w')}"
    values = getattr(given, "kernel_size" if name == "kernel" else name)
    return "x".join(map(str, [values] if isinstance(values, int) else values)) or str(default)
