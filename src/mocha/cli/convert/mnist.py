"""`mocha convert mnist`: MNIST from its original files."""

from __future__ import annotations

from pathlib import Path

import click

from mocha.cli.convert.options import known_set_options, located
from mocha.data import convert_mnist, download_mnist, find_mnist
from mocha.errors import FormatError


@click.command()
@known_set_options("MNIST", "Folder with the four original files", "11 MB")
def mnist(data: Path | None, out: Path, seed: int, download: bool) -> None:
    """Convert MNIST, as Mocha's first example wants it.

    Writes train.hdf5 and test.hdf5 (together 220 MB; pixels divided by 256, in a random order), and the list files
    train-data-list.txt and test-data-list.txt. The original files are looked for in --data, $MOCHA_DATA, the user's
    cache and ../shared/data/mnist.
    """
    folder = located("MNIST", "11 MB", located_mnist(data), download_mnist if download else None)
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
