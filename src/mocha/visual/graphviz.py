"""Graphs drawn by Graphviz. Their description, in its own language, needs nothing; images need its program ``dot``."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

from mocha.console import visible
from mocha.errors import ConfigError, MochaError
from mocha.io import atomic_path
from mocha.visual.endings import ending_format

DIRECTIONS = ("TB", "BT", "LR", "RL")
"""Where arrows may lead: top to bottom, left to right, ..."""

FORMATS = ("svg", "png", "pdf", "dot", "gv", "eps", "gif", "jpeg", "jpg", "json", "ps", "svgz", "webp")
"""Endings of files that pictures are written to."""

_PATIENCE = 120  # seconds that a picture may take


def check_direction(direction: str, name: str = "direction") -> None:
    """Refuse what is no direction.

    Args:
        direction: one of `DIRECTIONS`.
        name: what the caller calls it, for the message.

    Raises:
        ConfigError: it is none of them.
    """
    if direction not in DIRECTIONS:
        raise ConfigError(f"{name} is {direction!r}; expected one of {', '.join(DIRECTIONS)}.")


def quoted(text: str) -> str:
    """A string of Graphviz. Characters that mean something in the label of a box are taken as they are."""
    escaped = re.sub(r'([\\"{}|<>])', r"\\\1", text).replace("\n", "\\n").replace("\0", "")
    return f'"{escaped}"'


def label_text(text: str) -> str:
    """A text within an HTML-like label: escaped, without invisible characters, cut where it is too long.

    Graphviz refuses an element without text, so that an empty one is a space.
    """
    return html.escape(visible(text)) or " "


def render(text: str, form: str) -> bytes:
    """A picture of a described graph.

    Args:
        text: the description.
        form: the format: "png", "svg", "pdf" or what else ``dot`` knows; "dot" and "gv" give the description.

    Raises:
        ConfigError: something that is no format.
        MochaError: the program ``dot`` is not there, or fails.
    """
    description = text.encode(errors="replace")
    if form in ("dot", "gv"):
        return description
    if not re.fullmatch(r"[A-Za-z0-9_]+", form):
        raise ConfigError(f"{form!r} is no format of pictures; expected one as png, svg or pdf.")
    program = shutil.which("dot")
    if program is None:
        raise MochaError(
            f"drawing .{form} needs the program dot: install Graphviz (apt install graphviz, or brew install "
            "graphviz), or draw to a .dot file."
        )
    command = [program, f"-T{form}"]
    try:
        ran = subprocess.run(command, input=description, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise MochaError(f"the program dot failed: {error}. Draw to a .dot file instead.") from error
    if ran.returncode != 0:
        reason = ran.stderr.decode(errors="replace").strip()[:200]
        raise MochaError(f"the program dot failed: {reason}. Is {form!r} a format that it knows?")
    return ran.stdout


def graph_format(path: Path) -> str:
    """The format of a picture of a graph that a file's ending says.

    Raises:
        ConfigError: there is no ending, or one of no such format.
    """
    return ending_format(path, FORMATS, ("svg", "png", "pdf", "dot"))


def write_graph(path: str | os.PathLike[str], text: str) -> Path:
    """Write a picture of a described graph, as a whole or not at all; the file's ending says the format.

    Raises:
        ConfigError: as for `render`.
        MochaError: as for `render`.
    """
    target = Path(path)
    picture = render(text, graph_format(target))
    with atomic_path(target) as temporary:
        temporary.write_bytes(picture)
    return target


def can_render() -> bool:
    """Whether the program ``dot`` is there."""
    return shutil.which("dot") is not None
