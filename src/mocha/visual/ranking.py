"""Photos, each beside bars of what a net sees in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.visual.figures import figure_text, new_figure, save_figure

_BAR, _LEAST = 0.42, 5
"""Height of a bar with its name, in inches, and for how many a row has room at least."""
_NAME, _CAPTION = 46, 34
"""Letters that fit on a line."""


@dataclasses.dataclass(frozen=True, eq=False)
class Ranking:
    """What a net sees in one photo.

    Attributes:
        picture: (H, W, 1 or 3).
        caption: stands above it.
        bars: pairs of a name and its probability, 0 to 1, the likeliest first.
    """

    picture: npt.NDArray[np.uint8]
    caption: str
    bars: Sequence[tuple[str, float]]


def ranking_picture(path: str | Path, rankings: Sequence[Ranking]) -> Path:
    """Draw photos beside their bars, a row each.

    Args:
        path: where to; the ending says the format (.png, .jpg, .svg, .pdf).
        rankings: one a row, > 0.

    Raises:
        ConfigError: there is no ending, or one that matplotlib does not know.
        MochaError: matplotlib is not installed.
    """
    bars = max([_LEAST, *(len(ranking.bars) for ranking in rankings)])
    height = (bars * _BAR + 0.3) * len(rankings)
    figure = new_figure(8, height)
    margin = 0.1 / height
    grid = figure.add_gridspec(
        len(rankings), 2, width_ratios=(2, 3), left=0.02, right=0.98, wspace=0.06, hspace=0.2,
        top=1 - 3 * margin, bottom=margin,
    )  # fmt: skip
    for row, ranking in enumerate(rankings):
        _photo(figure.add_subplot(grid[row, 0]), ranking)
        _bars(figure.add_subplot(grid[row, 1]), ranking.bars, bars)
    return save_figure(figure, path, dpi=120)


def _photo(axes: Any, ranking: Ranking) -> None:
    picture = ranking.picture
    small = max(picture.shape[:2]) < 96
    axes.imshow(
        picture if picture.shape[2] == 3 else picture[:, :, 0],
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest" if small else "antialiased",
    )
    axes.set_title(figure_text(ranking.caption, _CAPTION), fontsize=9, pad=4)
    axes.axis("off")


def _bars(axes: Any, bars: Sequence[tuple[str, float]], room: int) -> None:
    """Names above their bars, so that long ones have room, and the number at the right; in the middle of the row."""
    for row, (name, probability) in enumerate(bars):
        axes.barh(row + 0.28, 1, height=0.2, color="0.92")
        axes.barh(row + 0.28, min(max(probability, 0), 1), height=0.2, color="#b5651d")
        weight = "normal" if row else "bold"
        axes.text(0, row + 0.08, figure_text(name, _NAME), fontsize=9, fontweight=weight, va="bottom")
        axes.text(1, row + 0.08, f"{100 * probability:.1f} %", fontsize=9, fontweight=weight, ha="right", va="bottom")
    axes.set_xlim(0, 1)
    spare = (room - len(bars)) / 2
    axes.set_ylim(len(bars) - 0.5 + spare, -0.5 - spare)
    axes.axis("off")
