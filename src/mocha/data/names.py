"""Names of classes, one a line of a file: read, and checked before they are written."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mocha.errors import FormatError

_SYNSET = re.compile(r"n\d{8}[ \t]+(?=\S)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_MOST_BYTES = 16 << 20


def read_names(path: str | os.PathLike[str], *, folders: bool = False) -> list[str]:
    """The names of classes from a text file in UTF-8, one a line, in the order of the net's scores.

    If every line begins with an id of WordNet, as ``n02123045 tabby, tabby cat`` in ImageNet's lists, the ids are left
    out. Empty lines at the end do not count.

    Args:
        path: the file.
        folders: the names are those of folders, as a conversion lists them: ids of WordNet belong to them, and so do
            bytes that are no UTF-8.

    Raises:
        FormatError: there is no such file, it is no text, too long, or has an empty line between names.
    """
    place = Path(path)
    if not place.is_file():
        raise FormatError(
            f"{place}: there is no such file (working directory {Path.cwd()}); expected the names of classes, one a "
            "line. Check the path."
        )
    if place.stat().st_size > _MOST_BYTES:
        raise FormatError(f"{place}: {place.stat().st_size} bytes; expected a list of names, one a line.")
    return names_in(place.read_bytes(), str(place), folders=folders)


def names_in(raw: bytes, where: str, *, folders: bool = False) -> list[str]:
    """The names in the bytes of such a file; see `read_names`.

    Args:
        raw: the bytes.
        where: what a message names.
        folders: see `read_names`.

    Raises:
        FormatError: this is no such list.
    """
    try:
        text = raw.decode("utf-8-sig", "surrogateescape" if folders else "strict")
    except UnicodeDecodeError as error:
        raise FormatError(f"{where}: expected names in UTF-8, one a line ({error}). Save it as UTF-8.") from error
    lines = [line.strip() for line in text.rstrip().splitlines()]
    for number, line in enumerate(lines, 1):
        if not line:
            raise FormatError(
                f"{where}: line {number} is empty; expected a name on each line, for each has its number."
            )
        if _CONTROL.search(line):
            raise FormatError(f"{where}: line {number} is no name ({line[:40]!r}). Is it a text file?")
    if not lines:
        raise FormatError(f"{where}: the file is empty; expected names, one a line.")
    if not folders and all(_SYNSET.match(line) for line in lines):
        return [_SYNSET.sub("", line, count=1) for line in lines]
    return lines


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes that can be written one a line, and be read again.

    Raises:
        FormatError: one is empty, has line breaks or other control characters or blanks at an end, or comes twice.
    """
    if len(set(names)) < len(names):
        raise FormatError(f"among the names of classes, {max(names, key=list(names).count)!r} comes twice.")
    for name in names:
        if name.splitlines() != [name] or _CONTROL.search(name):
            raise FormatError(f"the name of a class is {name!r}; names with line breaks cannot be listed. Rename it.")
        if name != name.strip():
            raise FormatError(f"the name of a class is {name!r}, with blanks at an end, which get lost. Rename it.")
    return tuple(names)
