"""`mocha convert cifar10`: CIFAR-10 from its original files."""

from __future__ import annotations

from pathlib import Path

import click

from mocha.cli.convert.options import known_set_options, located, overwrite_option, resumable, tell
from mocha.console import printable
from mocha.data import convert_cifar10, download_cifar10, find_cifar10


@click.command()
@known_set_options("CIFAR-10", "Folder with the six binary files, or their archive", "163 MB", file_okay=True)
@overwrite_option
def cifar10(data: Path | None, out: Path, seed: int, download: bool, overwrite: bool) -> None:
    """Convert CIFAR-10 from its binary version.

    Writes train.hdf5 and test.hdf5 (together 184 MB; bytes, RGB, in a random order), the list files train-data-list.txt
    and test-data-list.txt, mean.hdf5 with the mean of the training images, and classes.txt. The archive
    (cifar-10-binary.tar.gz, or .tar.xz, or .tar) or the files out of it are looked for in --data, $MOCHA_DATA, the
    user's cache and ../shared/data/cifar10. The archive is not unpacked to disk.
    """
    found = find_cifar10(data)
    if data is not None and not (found is not None and found.is_relative_to(data)):
        found = None if download else data  # converting it tells what it lacks
    source = located("CIFAR-10", "163 MB", found, download_cifar10 if download else None)
    click.echo(f"Reading {printable(source)}")
    with resumable():
        tell(convert_cifar10(source, out, seed, overwrite=overwrite), "image")
