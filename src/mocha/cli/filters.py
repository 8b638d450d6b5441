"""`mocha filters`: what the layers of a trained net look for."""

from __future__ import annotations

from pathlib import Path

import click

from mocha.caffe import read_weights
from mocha.caffe.files import file_is_hdf5
from mocha.data.images import ORDERS
from mocha.errors import ConfigError, FormatError, did_you_mean
from mocha.graph.listing import shape_text, table
from mocha.io import open_hdf5, read_model
from mocha.io.hdf5 import SEPARATOR
from mocha.ops import Array, Shape
from mocha.visual.sheet import Pixels, filter_sheet, save_image

Arrays = dict[str, dict[str, Array]]
"""Layer -> parameter -> values."""

_FAIR = 1000
"""Pixels that a sheet is high and wide where nobody says how large a weight shall be."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--layer", help="Whose filters to draw; without it the layers are listed.")
@click.option("--param", help="Which of its parameters; default: the first with two axes or more.")
@click.option("--channel", type=click.IntRange(0), help="Only this channel of each filter, counted from 0.")
@click.option("--shape", metavar="HxW", help="What the inputs of an inner product are: HxW, or CxHxW.")
@click.option(
    "--channel-order",
    type=click.Choice(ORDERS),
    default="rgb",
    show_default=True,
    help="What three channels are. Caffe's nets on photos have bgr.",
)
@click.option("--common", is_flag=True, help="Scale all filters alike, not each by its largest weight.")
@click.option("--columns", type=click.IntRange(1), help="Filters in a row; default: a square sheet.")
@click.option("--margin", type=click.IntRange(0, 100), help="Pixels between filters; default: a third of --zoom.")
@click.option("--zoom", type=click.IntRange(1, 100), help="Pixels for each weight; default: what makes a fair size.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("filters.png"),
    show_default=True,
    help="The picture: .png, .jpg or .webp.",
)
def filters(
    file: Path,
    layer: str | None,
    param: str | None,
    channel: int | None,
    shape: str | None,
    channel_order: str,
    common: bool,
    columns: int | None,
    margin: int | None,
    zoom: int | None,
    out: Path,
) -> None:
    """Draw the filters of a layer from a trained net's file.

    FILE is a snapshot or a model file of Mocha's, or a .caffemodel or .caffemodel.h5. Middle grey is 0, white and black
    are plus and minus the largest magnitude in a filter. Filters with one channel are grey, those with three are in
    colours, and others get a row each with a picture a channel. Weights of an inner product need --shape.
    """
    arrays = read_filters(file)
    if layer is None:
        rows = [
            (name, key, shape_text(values.shape), f"{values.min():.4g}" if values.size else "",
             f"{values.max():.4g}" if values.size else "")
            for name, group in arrays.items()
            for key, values in group.items()
        ]  # fmt: skip
        click.echo(table(("layer", "parameter", "shape", "least", "most"), rows, right=(3, 4)))
        return
    if layer not in arrays:
        raise ConfigError(f"{file}: there is no layer {layer!r}. {did_you_mean(layer, arrays)}")
    values = _param(file, layer, arrays[layer], param)
    seen = None if shape is None else _sizes(shape)

    def drawn(zoom: int) -> Pixels:
        return filter_sheet(
            values, channel=channel, shape=seen, channel_order=channel_order,
            columns=columns, margin=margin, zoom=zoom, common=common,
        )  # fmt: skip

    pixels = drawn(zoom or 1)
    if zoom is None and (larger := min(12, _FAIR // max(pixels.shape))) > 1:
        pixels = drawn(larger)
    click.echo(f"Wrote {save_image(out, pixels)}: {pixels.shape[1]} x {pixels.shape[0]} pixels")


def read_filters(path: Path) -> Arrays:
    """The parameters in a file of weights, Mocha's or Caffe's; Caffe's have numbers for names.

    Raises:
        FormatError: the file is missing, damaged, or has no parameters.
    """
    found: Arrays = {}
    hdf5 = file_is_hdf5(path)
    if hdf5 or not path.exists():
        for key, values in read_model(path).items():
            layer, _, name = key.rpartition(SEPARATOR)
            found.setdefault(layer, {})[name] = values
    if not found and not (hdf5 and not _is_of_caffe(path)):
        for layer, arrays in read_weights(path).items():
            found[layer] = {str(at): values for at, values in enumerate(arrays) if values is not None}
    if not found:
        raise FormatError(f"{path}: there are no parameters in it. Give a model file, a snapshot or a .caffemodel.")
    return found


def _is_of_caffe(path: Path) -> bool:
    """Whether an HDF5 file has weights as Caffe writes them."""
    with open_hdf5(path) as file:
        return "data" in file


def _param(file: Path, layer: str, own: dict[str, Array], name: str | None) -> Array:
    """The parameter of a layer that is meant.

    Raises:
        ConfigError: there is none.
    """
    if name is not None and name not in own:
        raise ConfigError(f"{file}: layer {layer!r} has no parameter {name!r}. {did_you_mean(name, own)}")
    values = own[name] if name is not None else next((v for v in own.values() if v.ndim >= 2), None)
    if values is None:
        raise ConfigError(f"{file}: layer {layer!r} has no filters; it has {', '.join(own)}.")
    return values


def _sizes(given: str) -> Shape:
    """Sizes from "28x28".

    Raises:
        ConfigError: it is written in another way.
    """
    parts = given.split("x")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts):
        raise ConfigError(f"--shape is {given!r}; expected HxW or CxHxW, as 28x28.")
    return tuple(map(int, parts))
