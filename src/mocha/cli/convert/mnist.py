"""`mocha convert mnist`: MNIST from its original files."""

from __future__ import annotations

from pathlib import Path

import click

from mocha.cli.convert.options import known_set_options, located, overwrite_option, resumable, tell
from mocha.console import printable
from mocha.data import download_mnist, find_mnist, load_mnist
from mocha.data.converters.mnist import converted_digits
from mocha.errors import FormatError


@click.command()
@known_set_options("MNIST", "Folder with the four original files, or with a folder mnist of them", "11 MB")
@overwrite_option
def mnist(data: Path | None, out: Path, seed: int, download: bool, overwrite: bool) -> None:
    """Convert MNIST, as Mocha's first example wants it.

    Writes train.hdf5 and test.hdf5 (together 220 MB; pixels divided by 256, in a random order), and the list files
    train-data-list.txt and test-data-list.txt. The original files are looked for in --data, $MOCHA_DATA, the user's
    cache and ../shared/data/mnist.
    """
    found = find_mnist(data)
    if not _is_asked_for(found, data):
        found = None if download else located_mnist(data)  # which tells what that folder lacks
    folder = located("MNIST", "11 MB", found, download_mnist if download else None)
    click.echo(f"Reading {printable(folder)}")
    with resumable():
        tell(converted_digits(load_mnist(folder), out, seed, overwrite=overwrite), "image")


def located_mnist(data: Path | None) -> Path | None:
    """The folder with MNIST's files. One that was asked for must have them.

    Raises:
        FormatError: it has not.
    """
    folder = find_mnist(data)
    if not _is_asked_for(folder, data):
        raise FormatError(
            f"{data} does not hold MNIST's four files (train-images-idx3-ubyte, train-labels-idx1-ubyte, "
            "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each with or without .gz)."
        )
    return folder


def _is_asked_for(folder: Path | None, data: Path | None) -> bool:
    """Whether a folder is the one that was asked for, if one was."""
    return data is None or folder in (data, data / "mnist")
