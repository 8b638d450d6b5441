"""Statistics of trainings as curves, by matplotlib."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mocha.errors import ConfigError
from mocha.visual.curves import Curve, Numbers, Series, check_range, chosen, curves, two_axes
from mocha.visual.figures import COLORS, new_figure, save_figure
from mocha.visual.graphviz import visible

SIZE = 8, 4.8
"""Of a picture, in inches."""

_FEW = 40
"""Curves of so many records or fewer have their records marked."""


def plot_statistics(
    sources: Mapping[str, Numbers],
    path: str | os.PathLike[str],
    *,
    keys: Sequence[str] = (),
    smooth: int = 1,
    log: bool = False,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> Path:
    """Draw statistics of one or several trainings into one picture.

    Objectives and accuracies, or other statistics of very different size, get an axis each, left and right.

    Args:
        sources: name of a training -> its statistics, as `read_statistics` gives them.
        path: where to; the ending says the format: .png, .svg, .pdf.
        keys: names of statistics, or patterns with * and ?; without any the objective and the accuracies.
        smooth: draw the mean of so many records around each one, and the records themselves faintly; 1 for no mean. It
            counts the records of the statistic with the closest ones; means of others reach over as many iterations.
        log: make the left axis logarithmic. What is 0 or less is left out there.
        x_range: the first and the last iteration to show.
        y_range: the lower and the upper end of the left axis.

    Returns:
        the path.

    Raises:
        ConfigError: an unknown key, or a value that cannot be.
        MochaError: matplotlib is not installed.

    Examples:
        >>> numbers = {"obj_val": {0: 2.3, 100: 0.4, 200: 0.2}, "test-accuracy-accuracy": {0: 0.1, 200: 0.94}}
        >>> path = plot_statistics({"first try": numbers}, "curves.png", log=True)
    """
    made = curves(sources, chosen(sources, keys), smooth=smooth, log=log, x_range=x_range)
    figure = new_figure(*SIZE)
    draw_curves(figure, made, log=log, y_range=y_range)
    return save_figure(figure, path, dpi=150)


def draw_curves(
    figure: Any, made: Sequence[Curve], *, log: bool = False, y_range: tuple[float, float] | None = None
) -> None:
    """Draw curves into an empty figure.

    Raises:
        ConfigError: there are no numbers to draw, or the range of a logarithmic axis begins at 0 or below.
    """
    check_range("y_range", y_range)
    if log and y_range is not None and y_range[0] <= 0:
        raise ConfigError(f"y_range is {y_range}; on a logarithmic axis it must begin above 0.")
    if not any(np.isfinite(curve.values).any() for curve in made):
        raise ConfigError("there are no numbers to draw there; see which there are, or choose another range.")
    left, right = two_axes(made)
    colors = _colors(left, right)
    axes = figure.add_subplot()
    sides = [(axes, left)]
    if right:
        sides.append((axes.twinx(), right))
    lines = {}
    for side, own in sides:
        logarithmic = log and side is axes
        if logarithmic:
            side.set_yscale("log")
        for curve in own:
            lines[id(curve)] = _line(side, curve, colors[id(curve)], right=side is not axes, log=logarithmic)
        _dress(side, own, colors, paired=bool(right))
    axes.grid(color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("iteration")
    axes.margins(x=0.02)
    if y_range is not None:
        axes.set_ylim(*y_range)
    if len(made) > 1:
        _legend(figure, made, lines)
    figure.set_layout_engine("constrained")


def _colors(left: Sequence[Curve], right: Sequence[Curve]) -> dict[int, str]:
    """A colour for each training, where that is enough to tell the curves of each axis apart; else one a curve."""
    made = [*left, *right]
    sources = list(dict.fromkeys(curve.source for curve in made))
    enough = len(sources) > 1 and all(len({c.source for c in side}) == len(side) for side in (left, right))
    names = [sources.index(curve.source) if enough else number for number, curve in enumerate(made)]
    return {id(curve): COLORS[name % len(COLORS)] for curve, name in zip(made, names, strict=True)}


def _line(axes: Any, curve: Curve, color: str, *, right: bool, log: bool) -> Any:
    """One curve; on the right axis it is dashed."""
    style = {"color": color, "ls": (0, (4, 1.5)) if right else "-", "lw": 1.6}
    marked = {"marker": "o", "ms": 3.5} if len(curve.iterations) <= _FEW else {}
    if curve.means is not None:
        axes.plot(curve.iterations, _drawable(curve.values, log), color=color, lw=0.8, alpha=0.3)
        marked = {}
    (line,) = axes.plot(curve.iterations, _drawable(curve.shown, log), **style, **marked)
    return line


def _drawable(values: Series, log: bool) -> Series:
    """With gaps where a number has no place."""
    return np.where(np.isfinite(values) & (values > 0 if log else True), values, np.nan)


def _dress(axes: Any, own: Sequence[Curve], colors: Mapping[int, str], *, paired: bool) -> None:
    """An axis says which statistics it is for, in their colour where that is one; it may be one of two."""
    keys = list(dict.fromkeys(curve.key for curve in own))
    color = colors[id(own[0])] if len(own) == 1 else "#333333"
    axes.set_ylabel(_words(", ".join(keys), 44), color=color)
    axes.tick_params(axis="y", colors=color)
    for side in ("top", "left", "right", "bottom"):
        axes.spines[side].set_color("#999999")
    axes.spines["top"].set_visible(False)
    axes.spines["right"].set_visible(paired)


def _legend(figure: Any, made: Sequence[Curve], lines: Mapping[int, Any]) -> None:
    labels = [_words(curve.label, 60) for curve in made]
    columns = min(len(made), max(1, 92 // (max(map(len, labels)) + 6)))
    figure.legend([lines[id(curve)] for curve in made], labels, loc="outside upper left", ncols=columns, frameon=False)


def _words(text: str, most: int) -> str:
    """A text that is cut, and in which matplotlib finds no formulas and nothing to hide."""
    line = visible(text)
    cut = line if len(line) <= most else line[: most - 1] + "…"
    return ("" if not cut.startswith("_") else "\N{ZERO WIDTH NO-BREAK SPACE}") + cut.replace("$", r"\$")
