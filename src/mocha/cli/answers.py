"""Printing what `mocha classify` finds, photo by photo: of many photos nothing is kept."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from mocha.classifier import Guesses
from mocha.classifier.answers import HEAD, RIGHT, answer_rows
from mocha.console import encodable, printable
from mocha.graph.listing import table


class TablePrinter:
    """Prints answers as a table, as they come.

    Args:
        paths: of all photos, whose names stand in the first column.
    """

    def __init__(self, paths: list[Path]) -> None:
        self._width = max((len(printable(path)) for path in paths), default=0)
        self._began = False

    def add(self, path: Path, answer: Guesses | str) -> None:
        """Print what is told of a photo; trouble has gone to standard error."""
        if isinstance(answer, str):
            return
        rows = [[row[0].ljust(self._width), *row[1:]] for row in answer_rows(answer, printable(path))]
        lines = encodable(table(HEAD, rows, right=RIGHT)).splitlines()
        click.echo("\n".join(lines[2 if self._began else 0 :]))
        self._began = True

    def finish(self) -> None:
        """Nothing is left to print."""


class JsonPrinter:
    """Prints answers as a JSON document, as they come."""

    def __init__(self) -> None:
        self._began = False

    def add(self, path: Path, answer: Guesses | str) -> None:
        """Print what is told of a photo."""
        told: dict[str, Any] = {"photo": str(path)}
        if isinstance(answer, str):
            told["error"] = answer
        else:
            told["guesses"] = [dataclasses.asdict(guess) for guess in answer]
        text = json.dumps(told, indent=2, ensure_ascii=False)
        if encodable(text) != text:
            text = json.dumps(told, indent=2)
        click.echo(f"{',' if self._began else '['}\n{textwrap.indent(text, '  ')}", nl=False)
        self._began = True

    def finish(self) -> None:
        """Print the end of the document."""
        click.echo("\n]" if self._began else "[]")


class CsvPrinter:
    """Prints answers as CSV, as they come."""

    def __init__(self) -> None:
        self._line(("photo", "rank", "class", "name", "probability"))

    def add(self, path: Path, answer: Guesses | str) -> None:
        """Print what is told of a photo; trouble has gone to standard error."""
        for rank, guess in enumerate(() if isinstance(answer, str) else answer, 1):
            self._line((path, rank, guess.index, guess.name, f"{guess.probability:.6g}"))

    def _line(self, fields: Iterable[object]) -> None:
        csv.writer(sys.stdout, lineterminator="\n").writerow([encodable(field) for field in fields])

    def finish(self) -> None:
        """Nothing is left to print."""
