"""Labels as texts in lists and tables: read, checked, and made to numbers."""

from __future__ import annotations

import array
import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from mocha.data.names import checked_names
from mocha.errors import ConfigError, FormatError, did_you_mean

LabelKind = Literal["auto", "classes", "values"]

LABEL_KINDS: tuple[LabelKind, ...] = ("auto", "classes", "values")

LARGEST = 2**24
"""The last whole number up to which float32 has them all."""

_LARGEST_FLOAT = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True, eq=False)
class LabelTable:
    """The labels of all samples.

    Attributes:
        values: (N, k).
        names: of the classes, in the order of their numbers, where labels were words.
        classes: each label is the number of a class.
    """

    values: npt.NDArray[np.float64]
    names: tuple[str, ...] | None
    classes: bool


class LabelReader:
    """Takes the labels of one sample after the other.

    Several numbers make a vector. One number is that of a class where all samples have whole ones, and a value
    otherwise. One word is the name of a class; the classes are numbered in the order of the sorted names.

    Args:
        kind: "auto", as above; "classes": names or whole numbers, and where there is one word, all are names; "values":
            numbers, whatever they are.
        width: fields of a sample's label, > 0.
        names: of all classes, in the order of their numbers: each label is one of them; None: those that come.

    Raises:
        ConfigError: another kind, or several classes a sample.
    """

    def __init__(self, kind: LabelKind, width: int, names: Sequence[str] | None = None) -> None:
        if kind not in LABEL_KINDS:
            raise ConfigError(f"labels is {kind!r}; expected one of {', '.join(LABEL_KINDS)}.")
        if names is not None and kind == "values":
            raise ConfigError("names of classes are given, but labels are to be values. Give one of both.")
        if names is not None:
            kind = "classes"
        if kind == "classes" and width > 1:
            raise ConfigError(f"labels of {width} numbers cannot be classes; give one column, or labels 'values'.")
        self._names = None if names is None else checked_names(names)
        self._kind = kind
        self._width = width
        self._numbers = array.array("d")
        self._codes = array.array("q")
        self._words = {name: number for number, name in enumerate(self._names or ())}
        self._as_words: bool | None = {"auto": None, "classes": True, "values": False}[kind] if width == 1 else False
        self._outside = self._fraction = ""

    def add(self, fields: Sequence[str], where: str) -> None:
        """Take the label of a sample.

        Args:
            fields: its texts.
            where: what a message names.

        Raises:
            FormatError: a field is empty, NaN or infinite, or not of the kind of those before.
        """
        for field in fields:
            text = field.strip()
            number = _number(text)
            if not text or (number is not None and not abs(number) <= _LARGEST_FLOAT):  # so that NaN is refused too
                raise FormatError(
                    f"{where}: the label is {text!r}; expected a finite number, of float32, or the name of a class."
                )
            if self._as_words is None:
                self._as_words = number is None
            if self._kind == "auto" and self._as_words and number is not None:
                raise FormatError(
                    f"{where}: the label {text!r} is a number, but those before are words. If it is the name of a "
                    "class, say that labels are 'classes'."
                )
            if self._names is not None and text not in self._words:
                raise FormatError(f"{where}: {text!r} is none of the classes. {did_you_mean(text, self._names)}")
            if self._as_words:
                self._codes.append(self._words.setdefault(text, len(self._words)))
                continue
            if number is None:
                raise FormatError(f"{where}: the label is {text!r}; expected a number, as those before are.")
            self._take(number, f"{where}: the label is {text!r}")

    def _take(self, number: float, where: str) -> None:
        self._numbers.append(number)
        if number < 0 or number > LARGEST:
            self._outside = self._outside or where
        if number != math.floor(number):
            self._fraction = self._fraction or where

    def finish(self) -> LabelTable:
        """All labels.

        Raises:
            FormatError: they are classes, but one is negative or too large.
        """
        if self._as_words:
            return self._classes_of_words()
        classes = self._kind == "auto" and self._width == 1 and not self._fraction
        if classes and self._outside:
            raise FormatError(
                f"{self._outside}; all labels are whole numbers, so they are taken for classes, from 0 to {LARGEST}. "
                "If they are values, say that labels are 'values'."
            )
        return LabelTable(np.array(self._numbers, np.float64).reshape(-1, self._width), None, classes)

    def _classes_of_words(self) -> LabelTable:
        codes = np.array(self._codes, np.intp)
        if self._names is not None:
            return LabelTable(codes.astype(np.float64).reshape(-1, 1), self._names, True)
        numbers = [_number(word) for word in self._words]
        if None not in numbers:  # classes were asked for, and their names are their numbers
            values = np.array(numbers, np.float64)
            for word, value in zip(self._words, values, strict=True):
                if value < 0 or value > LARGEST or value != np.floor(value):
                    raise FormatError(f"a label is {word!r}; expected classes, whole numbers from 0 to {LARGEST}.")
            return LabelTable(values[codes].reshape(-1, 1), None, True)
        names = sorted(self._words)
        rank = {word: place for place, word in enumerate(names)}
        place = np.array([rank[word] for word in self._words])
        return LabelTable(place[codes].astype(np.float64).reshape(-1, 1), checked_names(names), True)


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None
