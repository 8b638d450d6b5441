"""What a classifier thinks of images: records, as tables for terminals and as pictures for notebooks."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
from collections.abc import Sequence
from typing import Any, overload

from mocha.data.images import Pixels
from mocha.graph.listing import table
from mocha.ops import Array
from mocha.optional import optional


@dataclasses.dataclass(frozen=True)
class Guess:
    """One class that an image may show.

    Attributes:
        name: of the class.
        index: its number, from 0.
        probability: 0 to 1.
    """

    name: str
    index: int
    probability: float


@dataclasses.dataclass(frozen=True, eq=False)
class Guesses(Sequence[Guess]):
    """The likeliest classes of one image, the likeliest first. In a notebook it shows the image beside bars.

    Attributes:
        ranked: the guesses; the record itself can be indexed and looped over.
        probabilities: of all classes, (classes).
        picture: the image, small, (h, w, 1 or 3) bytes.
        source: where it came from: the file's name, or "".
    """

    ranked: tuple[Guess, ...]
    probabilities: Array
    picture: Pixels
    source: str = ""

    @property
    def best(self) -> Guess:
        """The likeliest class."""
        return self.ranked[0]

    @overload
    def __getitem__(self, index: int) -> Guess: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Guess]: ...
    def __getitem__(self, index: int | slice) -> Guess | Sequence[Guess]:
        return self.ranked[index]

    def __len__(self) -> int:
        return len(self.ranked)

    def __repr__(self) -> str:
        return str(Answers([self]))

    def _repr_html_(self) -> str:
        return Answers([self])._repr_html_()


class Answers(Sequence[Guesses]):
    """What a classifier thinks of several images, in their order.

    Args:
        answers: one an image.
    """

    def __init__(self, answers: Sequence[Guesses]) -> None:
        self._answers = tuple(answers)

    @overload
    def __getitem__(self, index: int) -> Guesses: ...
    @overload
    def __getitem__(self, index: slice) -> Answers: ...
    def __getitem__(self, index: int | slice) -> Guesses | Answers:
        return Answers(self._answers[index]) if isinstance(index, slice) else self._answers[index]

    def __len__(self) -> int:
        return len(self._answers)

    def __str__(self) -> str:
        rows = []
        for number, guesses in enumerate(self._answers):
            rows += answer_rows(guesses, guesses.source or f"image {number}")
        return table(HEAD, rows, right=RIGHT)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(_row(guesses) for guesses in self._answers)
        return f'<div style="display:flex;flex-wrap:wrap;gap:1em 2em">{rows}</div>'


HEAD = ("image", "rank", "probability", "class", "name")
"""The columns of a table of answers."""

RIGHT = (1, 2, 3)
"""Those that are set flush right."""


def answer_rows(guesses: Guesses, image: str) -> list[tuple[str, ...]]:
    """The rows of one answer in a table, below `HEAD`."""
    return [
        (image if rank == 1 else "", str(rank), f"{guess.probability:.4f}", str(guess.index), guess.name)
        for rank, guess in enumerate(guesses, 1)
    ]


# -- for notebooks

_WIDTH, _LINE = 320, 24


def _row(guesses: Guesses) -> str:
    """An image beside its bars. Colours are those of the page, which may be light or dark."""
    source = html.escape(guesses.source)
    caption = f'<figcaption style="font-size:smaller">{source}</figcaption>' if source else ""
    rendering = "pixelated" if max(guesses.picture.shape) < 96 else "auto"
    style = f"height:128px;max-width:192px;object-fit:contain;image-rendering:{rendering}"
    image = f'<img style="{style}" src="data:image/png;base64,{_png(guesses.picture)}" alt="{source}">'
    return (
        '<div style="display:flex;gap:0.8em;align-items:center">'
        f'<figure style="margin:0;width:192px;text-align:center">{image}{caption}</figure>{_bars(guesses)}</div>'
    )


def _bars(guesses: Guesses) -> str:
    parts = []
    for row, guess in enumerate(guesses):
        line, text = row * _LINE + 18, row * _LINE + 14
        length = min(max(guess.probability, 0.0), 1.0) * _WIDTH
        weight = "normal" if row else "bold"
        parts += [
            f'<rect y="{line}" width="{_WIDTH}" height="4" rx="2" fill="currentColor" opacity="0.12"/>',
            f'<rect y="{line}" width="{length:.1f}" height="4" rx="2" fill="#b5651d"/>',
            f'<text y="{text}" font-weight="{weight}">{html.escape(shortened(guess.name, 40))}</text>',
            f'<text x="{_WIDTH}" y="{text}" text-anchor="end">{percent(guess.probability)}</text>',
        ]
    height = max(len(guesses) * _LINE, 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13" fill="currentColor" role="img">{"".join(parts)}</svg>'
    )


def shortened(name: str, length: int) -> str:
    """A name of at most so many letters."""
    return name if len(name) <= length else name[: length - 1] + "…"


def percent(probability: float) -> str:
    """0.123 as "12.3 %"."""
    return f"{100 * probability:.1f} %"


def _png(picture: Pixels) -> str:
    pillow: Any = optional("PIL.Image", "showing images")
    stream = io.BytesIO()
    pillow.fromarray(picture if picture.shape[2] == 3 else picture[:, :, 0]).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
