"""A table of numbers in a text file, read line by line."""

from __future__ import annotations

import array
import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mocha.console import progress
from mocha.data.converters.columns import Columns
from mocha.data.converters.jobs import Block, Piece
from mocha.data.converters.labels import LabelKind, LabelReader, LabelTable
from mocha.data.converters.splits import Indices, SplitReader
from mocha.errors import ConfigError, FormatError
from mocha.ops import Shape

_LONGEST = 64 << 20  # bytes in a line
_AT_ONCE = 4 << 20  # numbers that are parsed at once
_TOLD_EVERY = 4096  # lines
_QUOTE = b'"'
_BOM = b"\xef\xbb\xbf"


class Table:
    """A text file with one sample a line.

    Args:
        source: the file.
        header: the first line has names.
        delimiter: between fields.

    Attributes:
        label_places: which columns are labels.
        split_place: which column names the split.
        places: where each line begins, in bytes.

    Raises:
        ConfigError, FormatError: the delimiter cannot be, or the file.
    """

    def __init__(self, source: Path, header: bool, delimiter: str) -> None:
        if len(delimiter) != 1 or delimiter in '"\r\n' or not delimiter.isascii():
            raise ConfigError(f"delimiter is {delimiter!r}; expected one ASCII character, as ',' or a tab.")
        if not source.is_file():
            raise FormatError(f"{source}: there is no such file (working directory {Path.cwd()}). Check the path.")
        self.source, self._header, self._delimiter = source, header, delimiter
        self._between = delimiter.encode()
        self._blank = b"\r\n" if delimiter.isspace() else None  # of blanks alone, a line may be one of empty fields
        first = next(self._lines(with_header=True), None)
        if first is None:
            raise FormatError(f"{source}: the file is empty; expected a table of numbers, one sample a line.")
        fields = [field.strip() for field in self._fields(first[2], f"{source}, line {first[0]}")]
        self._names = fields if header else []
        self._width = len(fields)
        self.label_places: list[int] = []
        self.split_place: int | None = None

    @property
    def rows(self) -> int:
        """The number of samples."""
        return len(self.places)

    # -- columns

    def choose(self, labels: Sequence[str | int] | None, split: str | int | None) -> None:
        """Settle which columns are what.

        Raises:
            ConfigError: one is not there, or chosen twice.
        """
        columns = Columns(self.source, self._names, self._width)
        if labels is None:
            found = columns.default("label")
            if found is None:
                raise ConfigError(
                    f"{self.source}: no column is called 'label'. Say which ones are (--label-column), or that none is "
                    "(--no-label)."
                )
            labels = [found]
        self.label_places = [columns.place(column) for column in labels]
        self.split_place = None if split is None else columns.place(split)
        chosen = [*self.label_places, *([] if self.split_place is None else [self.split_place])]
        if len(set(chosen)) < len(chosen):
            raise ConfigError(f"{self.source}: a column is chosen twice: {[*labels, *([split] if split else [])]}.")
        self._data = [place for place in range(self._width) if place not in set(chosen)]
        if not self._data:
            raise ConfigError(f"{self.source}: of {self._width} columns none is left for the data.")

    def sample_shape(self, shape: Sequence[int] | None) -> Shape:
        """The shape of a sample.

        Raises:
            ConfigError: it does not have as many numbers as there are columns for it.
        """
        count = len(self._data)
        if shape is None:
            return (count,)
        if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in shape) or not shape:
            raise ConfigError(f"shape is {shape!r}; expected whole numbers above 0, as 1, 28, 28.")
        if math.prod(shape) != count:
            raise ConfigError(
                f"{self.source}: {count} columns are data, but shape {tuple(shape)} has {math.prod(shape)} numbers."
            )
        return tuple(int(n) for n in shape)

    # -- lines

    def _lines(self, *, with_header: bool = False) -> Iterator[tuple[int, int, bytes]]:
        """Number, place and bytes of each line that is not empty."""
        with self.source.open("rb") as file:
            place = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
            file.seek(place)
            skip = self._header and not with_header
            number = 0
            while line := file.readline(_LONGEST + 1):
                number += 1
                if len(line) > _LONGEST:
                    raise FormatError(f"{self.source}, line {number}: longer than {_LONGEST} bytes. Is this a table?")
                if line.strip(self._blank):
                    if not skip:
                        yield number, place, line
                    skip = False
                place += len(line)

    def _fields(self, line: bytes, where: str) -> list[str]:
        try:
            text = line.decode("utf-8").rstrip("\r\n")
            rows = list(csv.reader([text], delimiter=self._delimiter, strict=True))
        except UnicodeDecodeError as error:
            raise FormatError(f"{where}: expected text in UTF-8, found other bytes ({error.reason}).") from error
        except csv.Error as error:
            raise FormatError(f"{where}: damaged CSV ({error}). Look for lone quotes.") from error
        return rows[0] if rows else [""]

    def scan(self, kind: LabelKind, known: Sequence[str] | None) -> tuple[LabelTable, dict[str, Indices] | None]:
        """Go through all lines once: count their fields, note their places, take labels and splits.

        Raises:
            FormatError: a line has another number of fields, or a wrong label or split; or there are no lines.
        """
        places = array.array("q")
        labels = LabelReader(kind, len(self.label_places), known) if self.label_places else None
        splits = SplitReader() if self.split_place is not None else None
        wanted = [*self.label_places, *([] if self.split_place is None else [self.split_place])]
        last = max(wanted, default=-1)
        with progress("Looking through", self.source.stat().st_size, "bytes") as show:
            for number, place, line in self._lines():
                where = f"{self.source}, line {number}"
                if _QUOTE in line:
                    fields = self._fields(line, where)
                    found = len(fields)
                else:
                    found = line.count(self._between) + 1
                    if found == self._width and wanted:
                        fields = line.decode("utf-8", "replace").rstrip("\r\n").split(self._delimiter, last + 1)
                if found != self._width:
                    raise FormatError(f"{where}: {found} fields; expected {self._width}, as in the first line.")
                places.append(place)
                if labels is not None:
                    labels.add([fields[column] for column in self.label_places], where)
                if splits is not None and self.split_place is not None:
                    splits.add(fields[self.split_place], where)
                if len(places) % _TOLD_EVERY == 0:
                    show(place)
        self.places = np.array(places, np.int64)
        if not len(self.places):
            raise FormatError(f"{self.source}: there are no samples, only a header.")
        empty = LabelTable(np.empty((len(places), 0)), None, False)
        return labels.finish() if labels is not None else empty, splits.finish() if splits is not None else None

    # -- samples

    def blocks(self, piece: Piece, labels: LabelTable, sample: Shape, scale: float) -> Iterator[Block]:
        """The samples of a file to be."""
        rows = max(1, _AT_ONCE // self._width)
        with self.source.open("rb") as file:
            for start in range(0, len(piece.entries), rows):
                entries = piece.entries[start : start + rows]
                order = np.argsort(entries)  # the disk is read forward
                lines = [b""] * len(entries)
                for place in order:
                    file.seek(self.places[entries[place]])
                    lines[place] = file.readline()
                with np.errstate(over="ignore"):
                    data = (self._numbers(lines, entries) * scale).astype(np.float32)
                self._check_finite(data, lines, entries)
                yield Block(data.reshape(-1, *sample), labels.values[entries].astype(np.float32))

    def _numbers(self, lines: list[bytes], entries: Indices) -> npt.NDArray[np.float64]:
        try:
            return self._parsed(lines)
        except ValueError:
            for entry, line in zip(entries, lines, strict=True):
                where = self._where(int(entry))
                fields = self._fields(line, where)
                for column in self._data:
                    try:
                        float(fields[column])
                    except (ValueError, IndexError):
                        found = repr(fields[column][:40]) if column < len(fields) else "nothing"
                        raise FormatError(
                            f"{where}: {found} in {self._called(column)}; expected a number. If the column is a "
                            "label or a split, say so; other columns of words must be taken out."
                        ) from None
            raise FormatError(f"{self.source}: the numbers cannot be read; was the file changed meanwhile?") from None

    def _parsed(self, lines: list[bytes]) -> npt.NDArray[np.float64]:
        return np.loadtxt(
            lines, np.float64, comments=None, delimiter=self._delimiter, quotechar='"', usecols=self._data, ndmin=2,
            encoding="utf-8",
        )  # fmt: skip

    def _check_finite(self, data: npt.NDArray[np.float32], lines: list[bytes], entries: Indices) -> None:
        if np.isfinite(data).all():
            return
        row, column = np.argwhere(~np.isfinite(data))[0]
        where, place = self._where(int(entries[row])), self._data[column]
        raise FormatError(
            f"{where}: {self._fields(lines[row], where)[place]!r} in {self._called(place)}; expected a finite number, "
            "of float32."
        )

    def _called(self, column: int) -> str:
        return f"column {self._names[column]!r}" if self._names else f"column {column}"

    def _where(self, entry: int) -> str:
        """The number of a sample's line, counted anew: it is for a message only."""
        at = int(self.places[entry])
        number = next((number for number, place, _ in self._lines() if place == at), 0)
        return f"{self.source}, line {number}"
