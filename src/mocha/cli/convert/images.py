"""`mocha convert images`: one's own images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mocha.cli.convert.options import out_option, resumable, tell, writing_options
from mocha.cli.photos import CHANNEL_ORDER, COLOUR, FIT, size_of
from mocha.data import convert_images


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@out_option(required=True)
@click.option("--size", metavar="HxW", callback=size_of, help="Size of all images; needed where they differ.")
@click.option("--fit", type=FIT, default="stretch", show_default=True,
              help="How to get there: change proportions, cut off what is too much, or add black borders.")  # fmt: skip
@click.option(*COLOUR, "color", default=True, show_default=True, help="Three channels, or one.")
@click.option("--channel-order", type=CHANNEL_ORDER, default="rgb", show_default=True,
              help="Caffe's nets want bgr.")  # fmt: skip
@click.option("--root", type=click.Path(path_type=Path, file_okay=False),
              help="What is put before the paths of a list or CSV file; default: its folder.")  # fmt: skip
@click.option("--label-count", type=click.IntRange(1), default=1, show_default=True,
              help="Labels in a line of a list, the last fields.")  # fmt: skip
@click.option("--image-column", help="Of a CSV file: name or number of the column of paths; default: ImageName.")
@click.option("--label-column", "label_columns", multiple=True,
              help="Of a CSV file: name or number (0 is the first, -1 the last) of the label; may be repeated; "
              "default: Label.")  # fmt: skip
@click.option(
    "--split-column",
    help="Of a CSV file: name or number of a column with names of splits; default: TrainTest, if there.",
)
@click.option("--damaged", type=click.Choice(["stop", "skip"]), default="stop", show_default=True,
              help="What to do at an image that cannot be read.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), help="Threads that decode; default: one for each processor.")
@writing_options
def images(source: Path, **options: Any) -> None:
    """Convert images in files to HDF5 files.

    SOURCE is a folder with one sub-folder a class; or an image list as Caffe has them, a line being 'path label'; or a
    CSV file (.csv, .tsv) with a header. In a folder with sub-folders train, test or val, these hold the classes.

    Writes train-00000.hdf5 ... (data: bytes, N x C x H x W; label: N x 1), train-data-list.txt, which an HDF5DataLayer
    takes as its source, and classes.txt; the same for each other split. Interrupted, the same command goes on after the
    last finished file.
    """
    with resumable():
        tell(convert_images(source, **options), "image")
