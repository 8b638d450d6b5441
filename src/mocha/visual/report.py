"""One picture about a trained classifier: how it learned, what it confuses, its filters, and what it missed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mocha.ops import Array
from mocha.visual.figures import new_figure, save_figure
from mocha.visual.sheet import filter_sheet

_LEAST_ERROR = 0.01
"""In percent; a smaller one, such as none, is drawn as this."""


@dataclasses.dataclass(frozen=True)
class Mistake:
    """An example that was classified wrongly.

    Attributes:
        image: (H, W).
        label: its class.
        guess: what the net said.
        confidence: how sure it was, 0 to 1.
    """

    image: Array
    label: int
    guess: int
    confidence: float


def report_picture(
    path: str | Path,
    *,
    title: str,
    objective: Mapping[int, float],
    accuracy: Mapping[int, float],
    confusion: Array,
    filters: Array,
    mistakes: Sequence[Mistake],
) -> Path:
    """Draw the report.

    Args:
        path: where to; the ending says the format (.png, .svg, .pdf).
        title: the headline.
        objective: iteration -> objective in training.
        accuracy: iteration -> accuracy in validation, 0 to 1.
        confusion: (C, C) counts; row: the class, column: the guess.
        filters: (K, H, W), the first layer's.
        mistakes: the ones to show, the surest first.

    Raises:
        MochaError: matplotlib is not installed.
    """
    figure = _figure(title)
    grid = figure.add_gridspec(2, 2, hspace=0.35, wspace=0.2, top=0.9, bottom=0.07, left=0.08, right=0.95)
    _learning_curve(figure.add_subplot(grid[0, 0]), objective, accuracy)
    _confusion(figure.add_subplot(grid[0, 1]), confusion)
    _filters(figure.add_subplot(grid[1, 0]), filters)
    shown = mistakes[:24]
    captions = [f"{m.label} seen as {m.guess}\n{100 * m.confidence:.0f} %" for m in shown]
    heading = f"Surest mistakes, {len(shown)} of {_wrong(confusion)}"
    _tiles(figure, grid[1, 1], heading, [m.image for m in shown], captions)
    return save_figure(figure, path)


def _figure(title: str) -> Any:
    figure = new_figure(13, 10.5)
    figure.suptitle(title, fontsize=14)
    return figure


def _learning_curve(axes: Any, objective: Mapping[int, float], accuracy: Mapping[int, float]) -> None:
    """The objective and, beside it, the error, on logarithmic scales: so the first records do not hide the last."""
    axes.set_title("Learning curve")
    iterations = sorted(objective)
    axes.semilogy(iterations, [max(objective[i], 1e-6) for i in iterations], color="tab:blue", lw=1.2)
    axes.set_xlabel("iteration")
    axes.set_ylabel("objective (training)", color="tab:blue")
    axes.grid(alpha=0.3)
    other = axes.twinx()
    iterations = sorted(accuracy)
    errors = [max(100 * (1 - accuracy[i]), _LEAST_ERROR) for i in iterations]
    other.semilogy(iterations, errors, "o-", color="tab:orange", ms=4)
    other.yaxis.set_major_formatter("{x:g}")
    other.set_ylabel("error in validation, %", color="tab:orange")


def _confusion(axes: Any, confusion: Array) -> None:
    """Counts; the colours show the mistakes only, for the diagonal would drown them."""
    wrong = confusion.astype(np.float64)
    np.fill_diagonal(wrong, 0)
    axes.imshow(wrong, cmap="Oranges", vmin=0, vmax=max(float(wrong.max()), 1.0))
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            weight = "bold" if row == column else "normal"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=7, fontweight=weight)
    total = int(confusion.sum())
    axes.set_title(f"Confusion: {_wrong(confusion)} of {total:,} wrong")
    axes.set_xlabel("guess")
    axes.set_ylabel("class")
    axes.set_xticks(range(len(confusion)))
    axes.set_yticks(range(len(confusion)))


def _wrong(confusion: Array) -> int:
    return int(confusion.sum() - np.trace(confusion))


def _filters(axes: Any, filters: Array) -> None:
    """The sheet of the filters."""
    axes.set_title("First-layer filters")
    axes.axis("off")
    axes.imshow(filter_sheet(filters[:, None], zoom=12), interpolation="nearest")


def _tiles(figure: Any, place: Any, heading: str, images: Sequence[Array], captions: Sequence[str]) -> None:
    """Small pictures in a grid, each with its caption."""
    frame = figure.add_subplot(place)
    frame.set_title(heading, pad=24 if captions else 6)
    frame.axis("off")
    if not images:
        frame.text(0.5, 0.5, "none", ha="center")
        return
    columns = max(4, int(np.ceil(np.sqrt(len(images) * 1.5))))
    rows = -(-len(images) // columns)
    inner = place.subgridspec(rows, columns, hspace=0.5, wspace=0.1)
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        axes = figure.add_subplot(inner[number // columns, number % columns])
        axes.imshow(image, cmap="gray")
        axes.axis("off")
        axes.set_title(caption, fontsize=6, pad=1)
