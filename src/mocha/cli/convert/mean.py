"""`mocha convert mean`: the mean that a transformer subtracts."""

from __future__ import annotations

from pathlib import Path

import click

from mocha.classifier import read_mean
from mocha.cli.convert.options import overwrite_option
from mocha.console import printable
from mocha.data import write_mean
from mocha.data.converters.mean import refuse_existing, refuse_sources, save_mean
from mocha.graph.listing import shape_text


@click.command()
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dataset", default="data", show_default=True, help="What to take the mean of.")
@overwrite_option
def mean(source: Path, out: Path, dataset: str, overwrite: bool) -> None:
    """Write the mean of all samples, for DataTransformers.SubMean.

    SOURCE is a list file or an HDF5 file; or Caffe's mean file (.binaryproto), which is converted as it is. OUT is the
    HDF5 file to write.
    """
    if source.suffix.lower() == ".binaryproto":
        refuse_existing(out, overwrite)
        refuse_sources(out, [source])
        values = read_mean(source)
        save_mean(values, out)
    else:
        values = write_mean(source, out, dataset=dataset, overwrite=overwrite)
    click.echo(
        f"Wrote {printable(out)}: the mean {shape_text(values.shape)}, from {values.min():.4g} to {values.max():.4g}"
    )
