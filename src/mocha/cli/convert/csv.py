"""`mocha convert csv`: one's own tables of numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from mocha.cli.convert.options import out_option, resumable, tell, writing_options
from mocha.data import convert_csv

_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}


def _shape(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is not None and not re.fullmatch(r"[1-9]\d{0,8}([,x][1-9]\d{0,8})*", value):
        raise click.BadParameter(f"{value!r}; expected whole numbers, as 1,28,28.")
    return None if value is None else tuple(map(int, re.split("[,x]", value)))


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@out_option(required=True)
@click.option(
    "--label-column", "label_columns", multiple=True,
    help="Name or number (0 is the first, -1 the last) of the label; may be repeated; default: label.",
)  # fmt: skip
@click.option("--no-label", is_flag=True, help="There are no labels: all columns are data.")
@click.option("--split-column", help="Name or number of a column with names of splits.")
@click.option(
    "--shape", metavar="C,H,W", callback=_shape, help="Of a sample, of the columns that are left; default: one axis."
)
@click.option("--header/--no-header", default=True, show_default=True, help="Whether the first line has names.")
@click.option(
    "--delimiter",
    default=",",
    show_default=True,
    help="Between fields: a character, or its name: comma, semicolon, space, tab.",
)
@click.option("--scale", type=float, default=1.0, show_default=True, help="What all numbers are multiplied by.")
@writing_options
def csv(file: Path, label_columns: tuple[str, ...], no_label: bool, delimiter: str, **options: Any) -> None:
    """Convert a table of numbers in a text file, one sample a line, to HDF5 files.

    One column is the label, the others are the numbers of the sample: float32. The file may be larger than the memory.

    Writes train-00000.hdf5 ... (data: N x shape; label: N x 1), train-data-list.txt, which an HDF5DataLayer takes as
    its source, and classes.txt where labels are words; the same for each other split. Interrupted, the same command
    goes on after the last finished file.
    """
    if no_label and label_columns:
        raise click.UsageError("--no-label and --label-column exclude each other.")
    chosen = () if no_label else label_columns or None
    with resumable():
        done = convert_csv(
            file, label_columns=chosen, delimiter=_DELIMITERS.get(delimiter.lower(), delimiter), **options
        )
        tell(done, "sample")
