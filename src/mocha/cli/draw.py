"""`mocha draw`: a net as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mocha.backends import Backend
from mocha.caffe.picture import caffe_picture
from mocha.cli.nets import built_in, from_script, script_option
from mocha.console import visible
from mocha.errors import ConfigError
from mocha.graph import Phase
from mocha.models import MODELS
from mocha.net.picture import net_picture
from mocha.ops import Shape
from mocha.visual import NetPicture, net_dot
from mocha.visual.graphviz import DIRECTIONS, graph_format, write_graph


@click.command()
@click.argument("model", required=False)
@script_option("MODEL")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("net.svg"),
    show_default=True,
    help="The picture: .svg, .png, .pdf, or .dot for its description in Graphviz's language.",
)
@click.option(
    "--direction",
    type=click.Choice(DIRECTIONS),
    default="TB",
    show_default=True,
    help="Where arrows lead: TB is top to bottom, LR left to right.",
)
@click.option("--blobs", is_flag=True, help="Draw blobs as nodes too, and each layer as one.")
@click.option(
    "--phase",
    type=click.Choice(["train", "test"]),
    default="train",
    show_default=True,
    help="Which layers of a Caffe net are in; in which operations are counted.",
)
@click.option("--batch", type=click.IntRange(1), help="Examples in a batch of a built-in model; default: as trained.")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="BLOB=NxCxHxW",
    help="Of a data layer's blob in a Caffe net that does not say it, as data=64x1x28x28; for several, say it again.",
)
def draw(
    model: str | None,
    script: Path | None,
    out: Path,
    direction: str,
    blobs: bool,
    phase: str,
    batch: int | None,
    shapes: tuple[str, ...],
) -> None:
    """Draw a net: a box a layer, an arrow a blob, totals on top.

    MODEL is a built-in net (see `mocha time`), lenet unless told, or a .prototxt of Caffe. With --script, the program
    FILE is executed, and must define a function build(backend) that returns a Net.

    Normalisations and activations stand in the box of the layer before them, where nobody else reads what lies between.
    Dashed boxes are frozen; dotted lines connect layers that share parameters. All formats but .dot need Graphviz.
    """
    if script is not None and (model is not None or batch is not None):
        raise click.UsageError("--script takes the place of MODEL and of --batch: the program decides both.")
    graph_format(out)  # so that a wrong one is told before the work
    is_file = model is not None and (model not in MODELS and (Path(model).suffix != "" or Path(model).exists()))
    if shapes and not is_file:
        raise click.UsageError("--shape is for a .prototxt of Caffe: other nets know their shapes.")
    if is_file and batch is not None:
        raise click.UsageError("--batch is for built-in models; give a .prototxt its --shape.")
    if is_file:
        picture, reason = caffe_picture(model, phase=phase, shapes=_shapes(shapes))
        if reason:
            click.echo(f"Drawn without shapes: {visible(reason, 1000)} Or give --shape, as data=64x3x32x32.", err=True)
    else:
        picture = _mocha_picture(model or "lenet", script, batch, Phase(phase))
    click.echo(f"Wrote {write_graph(out, net_dot(picture, direction, blobs=blobs))}")


def _mocha_picture(model: str, script: Path | None, batch: int | None, phase: Phase) -> NetPicture:
    with Backend("numpy") as machine:
        build = built_in(model, batch) if script is None else from_script(script)
        with build(machine) as net:
            return net_picture(net, phase)


def _shapes(given: Sequence[str]) -> dict[str, Shape]:
    """Blobs and their shapes.

    Raises:
        ConfigError: one is written in another way, or a blob has two.
    """
    found: dict[str, Shape] = {}
    for name, shape in map(_shape, given):
        if name in found:
            raise ConfigError(f"--shape is given twice for {name!r}; give each blob one shape.")
        found[name] = shape
    return found


def _shape(given: str) -> tuple[str, Shape]:
    """A blob and its shape, from "data=64x1x28x28".

    Raises:
        ConfigError: it is written in another way.
    """
    name, _, sizes = given.rpartition("=")
    parts = sizes.split("x")
    if not name or not all(part.isascii() and part.isdecimal() and 0 < len(part) < 10 and int(part) for part in parts):
        raise ConfigError(f"--shape is {given!r}; expected a blob and its sizes, as data=64x1x28x28.")
    return name, tuple(map(int, parts))
