"""Curves in a terminal: eight dots a character, by the letters of the braille script."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.console import visible
from mocha.visual.curves import Curve, Series, check_drawable, drawable, two_axes

_COLORS = ("bright_blue", "bright_red", "bright_green", "bright_magenta", "bright_yellow", "bright_cyan")
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The dots of a character, by row and column."""

_BLANK = 0x2800
_LEAST_ROWS, _LEAST_COLUMNS = 4, 20


def text_curves(
    made: Sequence[Curve],
    *,
    width: int = 80,
    height: int = 22,
    log: bool = False,
    y_range: tuple[float, float] | None = None,
) -> Any:
    """Curves as text, a `rich.text.Text`. Statistics of very different size get a panel each, one below the other.

    Args:
        made: the curves. Each is told by a letter at its end, and by a colour.
        width: columns.
        height: lines, legends included; a panel gets four rows at least.
        log: make the axis of the upper panel logarithmic.
        y_range: the ends of that axis.

    Raises:
        ConfigError: as for `check_drawable`.
    """
    from rich.text import Text

    check_drawable(made, log=log, y_range=y_range)
    panels = [panel for panel in two_axes(made) if panel]
    marks = {id(curve): _Mark(chr(ord("A") + n % 26), _COLORS[n % len(_COLORS)]) for n, curve in enumerate(made)}
    rows = max(_LEAST_ROWS, (height - len(made)) // max(len(panels), 1) - 2)
    every = np.concatenate([curve.iterations for curve in made] or [np.zeros(0)])
    x_ends = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    text = Text(no_wrap=True, overflow="crop")
    for number, panel in enumerate(panels):
        y_ends = y_range if y_range and not number else _ends(panel, log and not number)
        view = _View.fitting(width, rows, x_ends, y_ends, log=log and not number)
        for line in (*_legends(panel, marks, width), *_canvas(panel, marks, view), *_floor(view)):
            text.append_text(Text.assemble(*line, "\n"))
    text.right_crop(1)
    return text


@dataclasses.dataclass(frozen=True)
class _Mark:
    """How a curve is told from others."""

    letter: str
    color: str


Piece = tuple[str, str]
"""Text and its style."""


@dataclasses.dataclass(frozen=True)
class _View:
    """What a panel shows, and where.

    Attributes:
        columns: characters in a row of the canvas.
        rows: of the canvas.
        x_ends: first and last iteration.
        y_ends: lowest and highest number, or their logarithms.
        log: whether they are.
        labels: row -> number beside it.
    """

    columns: int
    rows: int
    x_ends: tuple[float, float]
    y_ends: tuple[float, float]
    log: bool
    labels: Mapping[int, str]

    @classmethod
    def fitting(
        cls, width: int, rows: int, x_ends: tuple[float, float], y_ends: tuple[float, float], *, log: bool
    ) -> _View:
        """A canvas that takes a whole width together with the numbers beside it."""
        low, high = (math.log10(end) for end in y_ends) if log else y_ends
        count = max(2, min(5, (rows + 2) // 3))
        places = sorted({round(i * (rows - 1) / (count - 1)) for i in range(count)})
        levels = [high - (high - low) * row / (rows - 1) for row in places]
        digits = 3 if log else _digits(low, high)
        labels = [f"{10**level if log else level:.{digits}g}" for level in levels]
        columns = max(_LEAST_COLUMNS, width - max(map(len, labels)) - 2)
        return cls(columns, rows, x_ends, (low, high), log, dict(zip(places, labels, strict=True)))

    @property
    def margin(self) -> int:
        """Columns left of the axis."""
        return max(map(len, self.labels.values()))

    def dots(self, curve: Curve) -> tuple[Series, Series]:
        """Column and row of each record, in dots; NaN where it has no place."""
        (x0, x1), (low, high) = self.x_ends, self.y_ends
        values = np.where(drawable(curve.shown, self.log), curve.shown, np.nan)
        levels = np.log10(values) if self.log else values
        across = (curve.iterations - x0) / (x1 - x0) if x1 > x0 else np.full(len(levels), 0.5)
        # what lies far outside is brought near, so that the line to it is not endless
        down = np.clip((high - levels) / (high - low), -2.0, 3.0)
        return across * (2 * self.columns - 1), down * (4 * self.rows - 1)


def _digits(low: float, high: float) -> int:
    """How many digits tell the numbers of an axis apart."""
    largest = max(abs(low), abs(high))
    return min(9, max(3, 2 + math.ceil(math.log10(largest / (high - low))))) if largest > 0 else 3


def _ends(panel: Sequence[Curve], log: bool) -> tuple[float, float]:
    """The smallest and the largest number, a little apart if they are one."""
    values = np.concatenate([curve.shown for curve in panel])
    known = values[drawable(values, log)]
    if not known.size:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = float(known.min()), float(known.max())
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    return (low / 2, high * 2) if log else (low - (abs(low) / 10 or 1), high + (abs(high) / 10 or 1))


def _legends(panel: Sequence[Curve], marks: Mapping[int, _Mark], width: int) -> Iterator[list[Piece]]:
    for curve in panel:
        last = f"  {_end(curve)}"
        room = max(8, width - 4 - len(last))
        label = curve.label if curve.key in curve.label else f"{curve.label}: {curve.key}"
        mark = marks[id(curve)]
        yield [(f" {mark.letter} ", f"bold {mark.color}"), (visible(label, room), ""), (last, "dim")]


def _end(curve: Curve) -> str:
    """The last record, and since when there have been no numbers."""
    if not curve.iterations.size:
        return "no records"
    if math.isfinite(curve.last):
        return f"last {curve.last:.6g}"
    known = np.flatnonzero(np.isfinite(curve.values))
    since = curve.iterations[known[-1] + 1 if known.size else 0]
    return f"{curve.last} since iteration {since:.10g}"


def _canvas(panel: Sequence[Curve], marks: Mapping[int, _Mark], view: _View) -> Iterator[list[Piece]]:
    """The rows of a panel, each with the number beside it."""
    cells = np.zeros((view.rows, view.columns), np.int64)
    owner = np.zeros((view.rows, view.columns), np.int64)
    letters: dict[tuple[int, int], _Mark] = {}
    for number, curve in enumerate(panel):
        xs, ys = _line(*view.dots(curve))
        inside = (ys > -0.5) & (ys < 4 * view.rows - 0.5)
        columns, rows = np.rint(xs[inside]).astype(np.int64), np.rint(ys[inside]).astype(np.int64)
        np.bitwise_or.at(cells, (rows // 4, columns // 2), _BITS[rows % 4, columns % 2])
        owner[rows // 4, columns // 2] = number
        if columns.size:
            letters[int(rows[-1] // 4), int(columns[-1] // 2)] = marks[id(curve)]
    for row in range(view.rows):
        line: list[Piece] = [(f"{view.labels.get(row, ''):>{view.margin}} {'┤│'[row not in view.labels]}", "dim")]
        for column in range(view.columns):
            if (row, column) in letters:
                mark = letters[row, column]
                line.append((mark.letter, f"bold {mark.color}"))
            else:
                dots = int(cells[row, column])
                line.append((chr(_BLANK + dots), marks[id(panel[owner[row, column]])].color) if dots else (" ", ""))
        yield line


def _line(xs: Series, ys: Series) -> tuple[Series, Series]:
    """The dots of a line through some, in their order; none where one has no place."""
    known = np.isfinite(xs) & np.isfinite(ys)
    pieces: list[npt.NDArray[np.float64]] = []
    for i in np.flatnonzero(known):
        if i and known[i - 1]:
            steps = 1 + math.ceil(max(abs(xs[i] - xs[i - 1]), abs(ys[i] - ys[i - 1])))
            along = np.linspace(0, 1, steps + 1)
            pieces.append(np.stack([xs[i - 1] + along * (xs[i] - xs[i - 1]), ys[i - 1] + along * (ys[i] - ys[i - 1])]))
        else:
            pieces.append(np.array([[xs[i]], [ys[i]]]))
    dots = np.concatenate(pieces, axis=1) if pieces else np.zeros((2, 0))
    return dots[0], dots[1]


def _floor(view: _View) -> Iterator[list[Piece]]:
    """The axis of the iterations."""
    first, last = f"{view.x_ends[0]:.10g}", f"{view.x_ends[1]:.10g}"
    room = max(1, view.columns - len(first) - len(last))
    yield [(f"{'':{view.margin}} └{'─' * view.columns}", "dim")]
    yield [(f"{'':{view.margin}}  {first}{'iteration'[:room]:^{room}}{last}", "dim")]
