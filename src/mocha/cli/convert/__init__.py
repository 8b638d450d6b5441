"""`mocha convert`: data sets, and one's own data, to HDF5."""

from __future__ import annotations

import click

from mocha.cli.convert.cifar10 import cifar10
from mocha.cli.convert.csv import csv
from mocha.cli.convert.images import images
from mocha.cli.convert.mean import mean
from mocha.cli.convert.mnist import mnist


@click.group()
def convert() -> None:
    """Convert data sets, images and tables to the HDF5 files that data layers read."""


for command in (mnist, cifar10, images, csv, mean):
    convert.add_command(command)
