"""`mocha classify`: what a trained net sees on photos."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from mocha.classifier import Description, Guesses, ImageClassifier, read_description
from mocha.cli.answers import CsvPrinter, JsonPrinter, TablePrinter
from mocha.cli.nets import backend_option, chosen_backend, from_script, script_option
from mocha.cli.photos import CHANNEL_ORDER, COLOUR, FIT, size_of
from mocha.console import encodable, printable, progress
from mocha.data.images import ENDINGS
from mocha.errors import ConfigError, MochaError
from mocha.visual import Ranking, ranking_picture
from mocha.visual.figures import check_format

_BATCH = 16
"""How many photos are classified at once."""
_MOST_ROWS = 40
"""How many photos a picture shows."""


def _mean(context: click.Context, option: click.Parameter, value: str | None) -> str | float | tuple[float, ...] | None:
    """Numbers with commas between them, else a file."""
    if value is None:
        return None
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        return value
    return numbers[0] if len(numbers) == 1 else numbers


_PREPARATION = (
    click.option("--classes", metavar="FILE", help="Names of the classes, one a line; ids of WordNet are left out."),
    click.option(
        "--mean",
        metavar="FILE|NUMBERS",
        callback=_mean,
        help="What is subtracted from values of 0 to 255: a .binaryproto, an HDF5 file with a dataset 'mean', or "
        "numbers, as 104,117,123.",
    ),
    click.option("--scale", type=float, help="What the difference is multiplied by, not 0; default: 1."),
    click.option("--channel-order", type=CHANNEL_ORDER, help="Default: rgb. Caffe's nets on photos want bgr."),
    click.option(
        "--size",
        metavar="SIZE",
        callback=size_of,
        help="Give the net an input of this size, if its layers take it: pixels, or HEIGHTxWIDTH.",
    ),
    click.option(
        "--resize",
        metavar="SIZE",
        callback=size_of,
        help="Bring photos to this size before the middle is cut out, as 256.",
    ),
    click.option("--fit", type=FIT, help="What happens to the proportions; default: stretch."),
    click.option(*COLOUR, "color", default=None, help="Default: grey where the net has one channel."),
    click.option("--oversample/--no-oversample", default=None, help="Average over ten crops of each photo."),
    click.option("--blob", metavar="NAME", help="The blob of scores; default: the net's last softmax, or last blob."),
    click.option(
        "--softmax/--no-softmax", default=None, help="Make probabilities of the scores; default: where no softmax did."
    ),
)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_PREPARATION):
        function = option(function)
    return function


@click.command()
@click.argument("photos", metavar="PHOTO...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", help="A .toml that describes a classifier, a .prototxt, or the name of a built-in model.")
@script_option("--model")
@click.option("--weights", metavar="FILE", help="A .caffemodel, .caffemodel.h5, model file or snapshot.")
@_options
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="How many classes to tell.")
@click.option(
    "-o", "--out", "output", type=click.Path(path_type=Path, dir_okay=False), help="Draw a picture, as answer.png."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: photo, rank, class, name, probability.")
@backend_option
def classify(
    photos: tuple[Path, ...],
    script: Path | None,
    top: int,
    output: Path | None,
    as_json: bool,
    as_csv: bool,
    backend: str | None,
    **given: Any,
) -> None:
    """Name what is on photos, with a trained net.

    A PHOTO is an image file, or a folder of them. How photos are prepared must be what the net was trained on. It is
    told by options, or once and for all by a short .toml beside the model, whose keys have the options' names:

    \b
        model = "deploy.prototxt"       # or "lenet", "cifar10-quick", ...
        weights = "weights.caffemodel"  # files are relative to the .toml
        classes = "synset_words.txt"    # or ["cat", "dog"]
        mean = [104, 117, 123]
        channel_order = "bgr"
        resize = 256                    # also: scale, size, fit, grey, ...

    Options take the place of what it says. With --script, the program FILE is executed, and must define a function
    build(backend) that returns a Net.

    A photo that cannot be read is reported, the others are classified, and the exit status is 1.
    """  # noqa: D301
    if as_json and as_csv:
        raise click.UsageError("Give --json or --csv, not both.")
    if script is not None and given["model"] is not None:
        raise click.UsageError("--script takes the place of --model.")
    if output is not None:
        check_format(output)  # so that a wrong one is told before the work
    described = _described(given, script is not None)
    troubles: dict[Path, str] = {}
    paths = list(_files(photos, troubles))
    shown: list[tuple[Path, Guesses]] = []
    count = 0
    with chosen_backend(backend) as machine:
        batch = max(1, min(_BATCH, len(paths) * (10 if described.oversample else 1)))
        makes = None if script is None else from_script(script)
        with described.classifier(machine, net=makes, batch=batch) as classifier:
            printer = JsonPrinter() if as_json else CsvPrinter() if as_csv else TablePrinter(paths)
            told: list[str] = []
            try:
                for path, answer in _told(classifier, paths, troubles, top):
                    printer.add(path, answer)
                    if isinstance(answer, str):
                        told.append(answer)
                        continue
                    count += 1
                    if output is not None and len(shown) < _MOST_ROWS:
                        shown.append((path, answer))
                printer.finish()
            finally:  # not among the answers, which may be read by a program
                for trouble in told:
                    click.echo(f"Error: {printable(trouble)}", err=True)
    if output is not None and shown:
        _draw(output, shown, count)
    if told:
        sys.exit(1)


def _described(given: dict[str, Any], by_script: bool) -> Description:
    """What the options say, over what a .toml says.

    Raises:
        ConfigError: no model was named.
    """
    model, color = given.pop("model"), given.pop("color")
    given["grey"] = None if color is None else not color
    if model is None and not by_script:
        raise ConfigError(
            "no net was named; give --model, or --script for a program of yours. See: mocha classify --help"
        )
    from_file = model is not None and model.endswith(".toml")
    base = read_description(model) if from_file else Description(model=model or "")
    return dataclasses.replace(base, **{key: value for key, value in given.items() if value is not None})


def _files(photos: Iterable[Path], troubles: dict[Path, str]) -> Iterator[Path]:
    """The photos, and those in folders, by name; and folders without any."""
    for photo in photos:
        if not photo.is_dir():
            yield photo
            continue
        found = sorted(path for path in photo.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
        if not found:
            troubles[photo] = (
                f"{photo}: the folder has no images; expected files that end in {', '.join(sorted(ENDINGS))}."
            )
            yield photo
        yield from found


def _told(
    classifier: ImageClassifier, paths: list[Path], troubles: dict[Path, str], top: int
) -> Iterator[tuple[Path, Guesses | str]]:
    """Each photo, in their order, with its answer or with what is wrong with it."""
    readable = [path for path in paths if path not in troubles]
    answers = classifier.each(readable, top)
    with progress("classifying", len(paths), "photos") as show:
        for number, path in enumerate(paths, 1):
            answer = troubles[path] if path in troubles else next(answers)
            if isinstance(answer, MochaError):
                said = str(answer)
                answer = said if str(path) in said else f"{path}: {said}"
            yield path, answer
            show(number)


def _draw(output: Path, shown: list[tuple[Path, Guesses]], count: int) -> None:
    rankings = [
        Ranking(guesses.picture, encodable(path.name, "utf-8"), [(guess.name, guess.probability) for guess in guesses])
        for path, guesses in shown
    ]
    picture = ranking_picture(output, rankings)
    less = f" (the first {len(shown)} of {count} photos)" if len(shown) < count else ""
    click.echo(f"Picture: {printable(picture)}{less}", err=True)
