"""Hard labels: class numbers from 0, which of them count, and what a loss over them is divided by.

They are held as floating-point or whole numbers, in any shape with one element a position. A loss may ignore the
positions of one label, which need not be the number of a class: pixels that nobody has annotated, say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mocha.errors import ConfigError, FormatError, ShapeError
from mocha.ops.base import Array, Op, Spec

DIVISORS = ("positions", "counted", "examples", "one")
"""What a sum over the positions of a batch is divided by: the number of all positions; of those that are not ignored;
of the examples, which is the product of the axes before the classes'; or 1, and so nothing. It is 1 at least."""


def check_labels(op: Op, x: Spec, label: Spec, axis: int) -> None:
    """There must be one label a position, and at least one class.

    Raises:
        ShapeError: there is not.
    """
    positions = x.size // max(x.shape[axis], 1)
    if label.size != positions or x.shape[axis] == 0:
        raise ShapeError(
            f"{op.name}: the scores {x} have {positions} positions of {x.shape[axis]} classes (axis {axis}), but the "
            "labels are "
            f"{label}; expected one label a position."
        )


def class_numbers(label: Array, classes: int, ignore: int | None = None) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Labels as whole numbers; -1 where they are ignored.

    Args:
        label: the labels.
        classes: how many classes there are.
        ignore: the label that is ignored, or None.

    Raises:
        FormatError: one is neither ignored nor a whole number from 0 to classes - 1.
    """
    numbers = label.astype(np.int64, copy=False) if label.dtype.kind in "iu" else None
    if numbers is None:
        with np.errstate(invalid="ignore"):
            numbers = np.rint(label).astype(np.int64)
    fractional = numbers != label
    if ignore is not None:
        left_out = (numbers == ignore) & ~fractional
        numbers = np.where(left_out, 0, numbers)
    wrong = (numbers < 0) | (numbers >= classes) | fractional
    if wrong.any():
        where = int(np.flatnonzero(wrong)[0])
        or_ignored = "" if ignore is None else f", or {ignore}, which is ignored"
        raise FormatError(
            f"label {where} of the batch is {label.reshape(-1)[where]}; expected a whole number from 0 to "
            f"{classes - 1}, because there are {classes} classes{or_ignored}. Check the labels in the data, or the "
            "number of classes."
        )
    return numbers if ignore is None else np.where(left_out, -1, numbers)


def check_divisor(op: Op, divisor: str) -> None:
    """The divisor must be one that there is.

    Raises:
        ConfigError: it is not.
    """
    if divisor not in DIVISORS:
        raise ConfigError(f"{op.name}: divisor is {divisor!r}; expected one of {', '.join(map(repr, DIVISORS))}.")


def divide_by(divisor: str, positions: int, counted: int, examples: int) -> int:
    """The number that a divisor stands for, 1 at least."""
    return max({"positions": positions, "counted": counted, "examples": examples, "one": 1}[divisor], 1)
