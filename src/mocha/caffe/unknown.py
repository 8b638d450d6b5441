"""Fields that Caffe does not have. Real nets carry fields of forks: they are noted, and passed over.

Strict reading refuses the first such field. Lenient reading goes on without it, says so in one warning a file, and
hands out a list to who asks for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

from mocha.errors import FormatError

_SHOWN = 8  # fields that a warning names


class UnknownFieldWarning(UserWarning):
    """A file has fields that Caffe does not have, or that cannot be kept; they were passed over."""


class UnknownField(NamedTuple):
    """A field that was passed over.

    Attributes:
        file: the file.
        layer: the name of the layer that it stands in; "" outside of layers.
        field: where it stands from there, as ``permute_param.order``; in binary files ``#149`` for number 149.
        line: its line, from 1; 0 in a binary file.
    """

    file: str
    layer: str
    field: str
    line: int = 0

    def __str__(self) -> str:
        layer = f" of layer {self.layer!r}" if self.layer else ""
        return f"{self.field!r}{layer}" + (f" (line {self.line})" if self.line else "")


def report(found: Sequence[UnknownField], unknown: list[UnknownField] | None, *, strict: bool = False) -> None:
    """Refuse fields that were passed over, hand them to who asked, or warn.

    Args:
        found: the fields of one file.
        unknown: is extended by them; None to give a warning.
        strict: refuse them.

    Raises:
        FormatError: there are such fields, and `strict` is true.
    """
    if not found:
        return
    if strict:
        raise FormatError(f"{found[0].file}: Caffe has no field {found[0]}. Remove it, or read without strict=True.")
    if unknown is not None:
        unknown.extend(found)
        return
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    fields = ", ".join(map(str, found[:_SHOWN]))
    warnings.warn(
        f"{found[0].file}: passed over fields that Caffe does not have: {fields}{more}. If the net depends on them, "
        "it computes something else here.",
        UnknownFieldWarning,
        stacklevel=4,
    )
