"""Elements of pages, for notebooks. Whatever comes from outside is escaped: names may hold anything.

Colours are the page's own, so that light and dark themes look right; pictures lie on white cards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from mocha.console import visible
from mocha.errors import MochaError
from mocha.visual.curves import Numbers, chosen, curves
from mocha.visual.figures import figure_svg, new_figure, svg_element
from mocha.visual.graphviz import can_render, render
from mocha.visual.listing import HEAD, statistic_row
from mocha.visual.net_picture import NetPicture, net_dot
from mocha.visual.plot import draw_curves

_LARGEST = 120
"""Layers of a net that is drawn within a page."""
_MOST_ROWS = 200
_MOST_RECORDS = 500
"""Records of a curve within a page."""

_LINE = "1px solid rgba(128,128,128,.35)"
_CELL = "padding:2px 10px;border:none;vertical-align:top"
_PICTURE = "background:#fff;border-radius:6px;padding:8px;margin:8px 0;overflow:auto;max-height:640px"


def card(title: str, *parts: str) -> str:
    """A headline with elements below it; empty ones are left out."""
    head = f'<div style="font-weight:bold;margin-bottom:4px">{text(title)}</div>'
    return f'<div style="font-family:sans-serif;font-size:13px">{head}{"".join(parts)}</div>'


def text(words: str) -> str:
    """A text within a page."""
    return escape(visible(words))


def paragraph(words: str) -> str:
    """A line of text, a little weaker than the rest."""
    return f'<div style="opacity:.75">{text(words)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A table of texts; what is too long is cut.

    Args:
        head: column titles.
        rows: cells.
        right: numbers of the columns that are set flush right.
    """
    listed = [list(row) for row in rows]
    sides = ["right" if i in right else "left" for i in range(len(head))]

    def line(tag: str, cells: Sequence[str], more: str = "") -> str:
        styled = zip(cells, sides, strict=True)
        made = (f'<{tag} style="{_CELL};text-align:{side}{more}">{text(cell)}</{tag}>' for cell, side in styled)
        return f'<tr style="background:none">{"".join(made)}</tr>'

    titles = line("th", head, f";border-bottom:{_LINE}") if any(head) else ""
    body = "".join(line("td", row) for row in listed[:_MOST_ROWS])
    left = len(listed) - _MOST_ROWS
    return f'<table style="border-collapse:collapse;margin:4px 0">{titles}{body}</table>' + (
        paragraph(f"and {left} more") if left > 0 else ""
    )


def facts_table(facts: Iterable[tuple[str, str]]) -> str:
    """Names and what they stand for."""
    return table(("", ""), facts)


def details(title: str, *parts: str, opened: bool = False) -> str:
    """Elements that can be folded away."""
    return f"<details{' open' if opened else ''}><summary>{text(title)}</summary>{''.join(parts)}</details>"


def statistics_table(statistics: Numbers) -> str:
    """What there is of each statistic."""
    rows = [statistic_row(key, numbers) for key, numbers in sorted(statistics.items())]
    return table(HEAD, rows, right=range(1, len(HEAD)))


def curves_element(statistics: Numbers) -> str:
    """The objective and the accuracies as curves; "" without matplotlib, or without numbers."""
    made = curves({"": thinned(statistics)}, chosen({"": statistics}))
    if not any(len(curve.values) > 1 for curve in made):
        return ""
    try:
        figure = new_figure(6.6, 3.2)
        draw_curves(figure, made)
        return f'<div style="{_PICTURE};display:inline-block">{figure_svg(figure)}</div>'
    except MochaError:
        return ""


def statistics_element(statistics: Numbers) -> str:
    """A table of statistics, and curves; "" if there are none."""
    return statistics_table(statistics) + curves_element(statistics) if statistics else ""


def thinned(statistics: Numbers) -> Numbers:
    """Fewer records of those that have very many, the last one among them."""
    kept = {}
    for key, numbers in statistics.items():
        iterations = sorted(numbers)
        step = -(-len(iterations) // _MOST_RECORDS) or 1
        kept[key] = {i: numbers[i] for i in reversed(iterations[::-1][::step])}
    return kept


def net_element(picture: NetPicture) -> str:
    """A net's picture; "" without Graphviz, or where it would be too large."""
    if not can_render() or len(picture.boxes) > _LARGEST:
        return ""
    try:
        svg = render(net_dot(picture), "svg").decode()
    except MochaError:
        return ""
    return f'<div style="{_PICTURE}">{svg_element(svg)}</div>'
