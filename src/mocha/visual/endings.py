"""What the ending of a picture's file says."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from mocha.errors import ConfigError


def ending_format(path: Path, known: Container[str], usual: Sequence[str]) -> str:
    """The format that a file's ending says, in lower case and without its dot.

    Args:
        path: of the picture to be.
        known: endings of the formats that can be written.
        usual: those that are named where it is none of them.

    Raises:
        ConfigError: there is no ending, or an unknown one.
    """
    form = path.suffix[1:].lower()
    if form in known:
        return form
    wrong = f"{path.suffix} is no format of pictures that can be written" if form else "its name has no ending"
    raise ConfigError(f"{path}: {wrong}; use {', '.join(f'.{one}' for one in usual[:-1])} or .{usual[-1]}.")
