"""Names of classes, one a line of a file."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mocha.errors import FormatError

_SYNSET = re.compile(r"n\d{8}[ \t]+(?=\S)")
_MOST_BYTES = 16 << 20


def read_names(path: str | os.PathLike[str]) -> list[str]:
    """The names of classes from a text file in UTF-8, one a line, in the order of the net's scores.

    If every line begins with an id of WordNet, as ``n02123045 tabby, tabby cat`` in ImageNet's lists, the ids are left
    out. Empty lines at the end do not count.

    Args:
        path: the file.

    Raises:
        FormatError: there is no such file, it is no text, too long, or has an empty line between names.
    """
    place = Path(path)
    if not place.is_file():
        raise FormatError(f"{place}: there is no such file (working directory {Path.cwd()}). Check the path.")
    if place.stat().st_size > _MOST_BYTES:
        raise FormatError(f"{place}: {place.stat().st_size} bytes; expected a list of names, one a line.")
    try:
        text = place.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{place}: expected names in UTF-8, one a line ({error}). Save it as UTF-8.") from error
    lines = [line.strip() for line in text.rstrip().splitlines()]
    for number, line in enumerate(lines, 1):
        if not line:
            raise FormatError(
                f"{place}: line {number} is empty; expected a name on each line, for each has its number."
            )
        if not line.isprintable() and not line.replace("\t", "").isprintable():
            raise FormatError(f"{place}: line {number} is no name ({line[:40]!r}). Is it a text file?")
    if not lines:
        raise FormatError(f"{place}: the file is empty; expected names, one a line.")
    if all(_SYNSET.match(line) for line in lines):
        return [_SYNSET.sub("", line, count=1) for line in lines]
    return lines
