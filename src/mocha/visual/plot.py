"""Statistics of trainings as curves, by matplotlib."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mocha.visual.curves import Curve, Numbers, Series, check_drawable, chosen, curves, drawable, two_axes
from mocha.visual.figures import COLORS, figure_text, new_figure, save_figure

SIZE = 8, 4.8
"""Of a picture, in inches."""

_FEW = 40
"""Curves of so many records or fewer have their records marked."""
_NAMED = 3
"""An axis names so many statistics at most."""
_MARKERS = ("o", "s", "^")
_FEW_MARKERS = 12
"""How often the marker stands on a curve of many records that is told by it."""


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

    Objectives and accuracies, or other statistics of very different size, get an axis each, left and right. There may
    be 24 curves.

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
        ConfigError: as for `check_drawable`.
    """
    check_drawable(made, log=log, y_range=y_range)
    left, right = two_axes(made)
    looks = _looks(left, right)
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
            lines[id(curve)] = _line(side, curve, looks[id(curve)], log=logarithmic)
        _dress(side, own, looks, paired=bool(right))
    axes.grid(color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("iteration")
    axes.margins(x=0.02)
    if y_range is not None:
        axes.set_ylim(*y_range)
    if len(made) > 1:
        _legend(figure, made, lines)
    figure.set_layout_engine("constrained")


@dataclasses.dataclass(frozen=True)
class _Look:
    """How a curve is told from others: by its colour, and where there are more curves than colours, by its marker."""

    color: str
    marker: str


def _looks(left: Sequence[Curve], right: Sequence[Curve]) -> dict[int, _Look]:
    """A look for each training, where that is enough to tell the curves of each axis apart; else one a curve."""
    made = [*left, *right]
    sources = list(dict.fromkeys(curve.source for curve in made))
    enough = len(sources) > 1 and all(len({c.source for c in side}) == len(side) for side in (left, right))
    names = [sources.index(curve.source) if enough else number for number, curve in enumerate(made)]
    known = [_Look(color, marker) for marker in _MARKERS for color in COLORS]
    return {id(curve): known[name] for curve, name in zip(made, names, strict=True)}


def _line(axes: Any, curve: Curve, look: _Look, *, log: bool) -> Any:
    """One curve; on the right axis it is dashed."""
    style: dict[str, Any] = {"color": look.color, "ls": (0, (4, 1.5)) if curve.right else "-", "lw": 1.6}
    marked: dict[str, Any] = {}
    if len(curve.iterations) <= _FEW and curve.means is None:
        marked = {"marker": look.marker, "ms": 3.5}
    elif look.marker != _MARKERS[0]:
        marked = {"marker": look.marker, "ms": 5, "markevery": max(1, len(curve.iterations) // _FEW_MARKERS)}
    if curve.means is not None:
        axes.plot(curve.iterations, _drawable(curve.values, log), color=look.color, lw=0.8, alpha=0.3)
    (line,) = axes.plot(curve.iterations, _drawable(curve.shown, log), **style, **marked)
    return line


def _drawable(values: Series, log: bool) -> Series:
    """With gaps where a number has no place."""
    return np.where(drawable(values, log), values, np.nan)


def _dress(axes: Any, own: Sequence[Curve], looks: Mapping[int, _Look], *, paired: bool) -> None:
    """An axis says which statistics it is for, in their colour where that is one; it may be one of two."""
    keys = list(dict.fromkeys(curve.key for curve in own))
    color = looks[id(own[0])].color if len(own) == 1 else "#333333"
    named = ", ".join(keys) if len(keys) <= _NAMED else f"{len(keys)} statistics"
    axes.set_ylabel(figure_text(named, 44), color=color)
    axes.tick_params(axis="y", colors=color)
    for side in ("top", "left", "right", "bottom"):
        axes.spines[side].set_color("#999999")
    axes.spines["top"].set_visible(False)
    axes.spines["right"].set_visible(paired)


def _legend(figure: Any, made: Sequence[Curve], lines: Mapping[int, Any]) -> None:
    labels = [figure_text(curve.label, 60) for curve in made]
    columns = min(len(made), max(1, 92 // (max(map(len, labels)) + 6)))
    figure.legend([lines[id(curve)] for curve in made], labels, loc="outside upper left", ncols=columns, frameon=False)
