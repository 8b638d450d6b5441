"""Figures by matplotlib: made, and written as a whole or not at all."""

from __future__ import annotations

import io
import os
import re
import warnings
from pathlib import Path
from typing import Any

from mocha.console import visible
from mocha.io import atomic_path
from mocha.optional import optional
from mocha.visual.endings import ending_format

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#222222")
"""Colours that also those can tell apart who see fewer of them (after Okabe and Ito)."""


def new_figure(width: float, height: float) -> Any:
    """An empty figure, sizes in inches.

    Raises:
        MochaError: matplotlib is not installed.
    """
    return optional("matplotlib.figure", "drawing").Figure(figsize=(width, height))


def save_figure(figure: Any, path: str | os.PathLike[str], dpi: int = 110) -> Path:
    """Write a figure; the file's ending says the format: .png, .svg, .pdf, and what else matplotlib knows.

    Raises:
        ConfigError: there is no ending, or one that matplotlib does not know.
    """
    target = Path(path)
    form = check_format(target)
    with atomic_path(target) as temporary:
        _save(figure, temporary, dpi=dpi, format=form)
    return target


def check_format(path: Path) -> str:
    """The format that a file's ending says.

    Raises:
        ConfigError: there is no ending, or one that matplotlib does not know.
        MochaError: matplotlib is not installed.
    """
    known = optional("matplotlib.backend_bases", "drawing").FigureCanvasBase.get_supported_filetypes()
    return ending_format(path, known, ("png", "svg", "pdf"))


def figure_text(text: str, most: int) -> str:
    """A text for a figure: one line, cut where it is too long, in which matplotlib finds no formula.

    Args:
        text: it may hold anything.
        most: letters that have room.
    """
    line = visible(text, most)
    # a legend leaves out what begins with _
    return ("" if not line.startswith("_") else "\N{ZERO WIDTH NO-BREAK SPACE}") + line.replace("$", r"\$")


def figure_svg(figure: Any) -> str:
    """A figure as an element of a page."""
    buffer = io.StringIO()
    with optional("matplotlib", "drawing").rc_context({"svg.fonttype": "none"}):
        _save(figure, buffer, format="svg", metadata={"Date": None, "Creator": None})
    # matplotlib's style would be that of the whole page
    element = re.sub(r"<style[^>]*>.*?</style>", "", svg_element(buffer.getvalue()), flags=re.DOTALL)
    return element.replace("<svg ", '<svg style="stroke-linejoin:round;stroke-linecap:butt" ', 1)


def _save(figure: Any, target: Any, **options: Any) -> None:
    with warnings.catch_warnings():
        # names may have letters that no font at hand has
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(target, **options)


def svg_element(text: str) -> str:
    """The element of an SVG file, without what stands before it, and without comments."""
    return re.sub(r"<!--.*?-->\n?", "", text[text.index("<svg") :], flags=re.DOTALL)
