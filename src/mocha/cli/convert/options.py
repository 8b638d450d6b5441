"""What the commands of `mocha convert` have in common: options, and what they print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mocha.console import printable
from mocha.data import Converted
from mocha.data.converters.jobs import PER_FILE
from mocha.data.converters.labels import LABEL_KINDS
from mocha.data.converters.splits import TRAIN
from mocha.data.names import read_names
from mocha.errors import FormatError
from mocha.random import DEFAULT_SEED

Function = Callable[..., Any]

seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=DEFAULT_SEED, show_default=True, help="Of the random order."
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace or remove what another conversion wrote there."
)


def _together(*options: Function) -> Function:
    """Several options as one decorator, in this order in the help."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def out_option(**settings: Any) -> Function:
    """The folder to write to."""
    return click.option(
        "-o",
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder to write to; made if missing.",
        **settings,
    )


def known_set_options(name: str, what: str, size: str, *, file_okay: bool = False) -> Function:
    """The options of a well-known data set: `data`, `out`, `seed` and `download`.

    Args:
        name: of the data set.
        what: --data may be.
        size: of a download.
        file_okay: --data may be a file.
    """
    path = click.Path(path_type=Path, file_okay=file_okay)
    return _together(
        click.option("--data", type=path, help=f"{what}."),
        out_option(default=Path(), show_default="the working directory"),
        seed_option,
        click.option("--download", is_flag=True, help=f"Download {name} ({size}) if it is not found."),
    )


def located(name: str, size: str, found: Path | None, download: Callable[[], Path] | None) -> Path:
    """Where a well-known data set is, downloaded if that is wanted and necessary.

    Args:
        name: of the data set.
        size: of a download.
        found: where it is already.
        download: gets it; None: that is not wanted.

    Raises:
        FormatError: it is not found, and is not to be downloaded.
    """
    if found is not None:
        return found
    if download is None:
        raise FormatError(
            f"{name} was not found. Give its folder with --data or in MOCHA_DATA, or let --download get it ({size})."
        )
    return download()


def _names(ctx: click.Context, param: click.Parameter, value: Path | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(read_names(value, folders=True))


writing_options = _together(
    click.option("--split", default=TRAIN, show_default=True, help="The split that all samples belong to."),
    click.option("--test-share", type=float, default=0.0, help="Share that is put into a split 'test', as 0.2."),
    click.option("--shuffle/--no-shuffle", default=True, show_default=True, help="Write in random order."),
    seed_option,
    click.option("--mean", is_flag=True, help="Write mean.hdf5, the mean of the training samples."),
    click.option(
        "--per-file", type=click.IntRange(1), default=PER_FILE, show_default=True, help="Samples in an HDF5 file."
    ),
    click.option(
        "--labels", type=click.Choice(LABEL_KINDS), default="auto", show_default=True,
        help="What labels are; auto: words and whole numbers are classes, others are values.",
    ),
    click.option(
        "--classes", type=click.Path(path_type=Path, dir_okay=False), callback=_names,
        help="A classes.txt with the names of all classes; default: those that are found, sorted.",
    ),
    overwrite_option,
)  # fmt: skip
"""What every conversion of one's own data can be told."""


@contextmanager
def resumable() -> Iterator[None]:
    """Tells who interrupts a conversion that it can go on."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted. Finished files are kept: the same command goes on from there.", err=True)
        raise


def tell(done: Converted, unit: str) -> None:
    """Print what was written."""
    verb = "Wrote" if done.made else "Found"
    for split, path in done.lists.items():
        click.echo(
            f"{verb} {printable(path)}: {_count(done.samples[split], unit)} in {_count(done.files[split], 'file')}"
        )
    for path in done.others:
        click.echo(f"{verb} {printable(path)}")
    if done.removed:
        click.echo(f"Removed what does not go with it: {printable(', '.join(done.removed))}")
    if done.classes:
        more = ", ..." if len(done.classes) > _SHOWN else ""
        names = ", ".join(map(printable, done.classes[:_SHOWN]))
        click.echo(f"{_count(len(done.classes), 'class')}: {names}{more}")
    if done.skipped:
        click.echo(f"Skipped {_count(done.skipped, unit)} that cannot be read, see skipped.txt")
    if done.passed_over:
        click.echo(f"Passed over {_count(done.passed_over, 'file')} that by the name are no images")
    total = _count(sum(done.samples.values()), unit)
    how = (
        "all files were finished by an earlier run"
        if not done.made
        else (f"{_count(done.made, 'file')} made" + (f", {done.kept} kept of an earlier run" if done.kept else ""))
    )
    click.echo(f"Done: {total}, {how}.")


_SHOWN = 10


def _count(number: int, unit: str) -> str:
    plural = "es" if unit.endswith("s") else "s"
    return f"{number:,} {unit}{plural if number != 1 else ''}"
