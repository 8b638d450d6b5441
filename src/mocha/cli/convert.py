"""`mocha convert`: data sets from their original files to HDF5."""

from __future__ import annotations

from pathlib import Path

import click

from mocha.data import convert_mnist, download_mnist, find_mnist
from mocha.errors import FormatError
from mocha.random import DEFAULT_SEED


@click.group()
def convert() -> None:
    """Convert data sets from their original files to the HDF5 files that data layers read."""


@convert.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder with the four original files.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("."), help="Where to write.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=DEFAULT_SEED, help="Of the random order.")
@click.option("--download", is_flag=True, help="Download the files (11 MB) if they are not found.")
def mnist(data: Path | None, out: Path, seed: int, download: bool) -> None:
    """Convert MNIST, as Mocha's first example wants it.

    Writes train.hdf5 and test.hdf5 (together 220 MB; pixels divided by 256, in a random order), and the list files
    train-data-list.txt and test-data-list.txt. The original files are looked for in --data, $MOCHA_DATA, the user's
    cache and ../shared/data/mnist.
    """
    folder = located_mnist(data)
    if folder is None:
        if not download:
            raise FormatError(
                "MNIST was not found. Give its folder with --data or in MOCHA_DATA, or let --download get it (11 MB)."
            )
        folder = download_mnist()
    click.echo(f"Reading {folder}")
    for path in convert_mnist(folder, out, seed):
        click.echo(f"Wrote {path}")


def located_mnist(data: Path | None) -> Path | None:
    """The folder with MNIST's files. One that was asked for must have them.

    Raises:
        FormatError: it has not.
    """
    folder = find_mnist(data)
    if data is not None and folder not in (data, data / "mnist"):
        raise FormatError(
            f"{data} does not hold MNIST's four files (train-images-idx3-ubyte, train-labels-idx1-ubyte, "
            "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each with or without .gz)."
        )
    return folder
