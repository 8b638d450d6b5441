"""`mocha plot`: statistics of trainings as curves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from mocha.caffe.files import file_is_hdf5
from mocha.caffe.logs import read_log
from mocha.coffee import read_statistics
from mocha.console import visible
from mocha.errors import ConfigError
from mocha.graph.listing import table
from mocha.visual.braille import text_curves
from mocha.visual.curves import Curve, Numbers, check_range, check_y_range, chosen, curves
from mocha.visual.figures import check_format, new_figure, save_figure
from mocha.visual.listing import HEAD, numbered_rows
from mocha.visual.live import Follower, rounds, titles, window
from mocha.visual.plot import SIZE, draw_curves


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE...")
@click.option("-k", "--key", "keys", multiple=True, help="A statistic, or a pattern with * and ?; again for more.")
@click.option("-i", "--index", "indices", default="", help="Numbers of statistics in --list, with commas between them.")
@click.option("--list", "listing", is_flag=True, help="Only list the statistics, with ranges and last values.")
@click.option("--smooth", type=click.IntRange(1), default=1, help="Draw the mean of so many records around each one.")
@click.option("--log", is_flag=True, help="Make the left axis logarithmic.")
@click.option("--x-range", nargs=2, type=float, metavar="FROM TO", help="Iterations to show.")
@click.option("--y-range", nargs=2, type=float, metavar="FROM TO", help="Ends of the left axis.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("statistics.png"),
    show_default=True,
    help="The picture: .png, .svg or .pdf.",
)
@click.option("--text", is_flag=True, help="Draw in the terminal instead.")
@click.option("--live", is_flag=True, help="Draw anew when a file changes, until Ctrl-C; if possible in a window.")
@click.option(
    "--interval", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Seconds between looks, with --live."
)
def plot(
    files: tuple[Path, ...],
    keys: tuple[str, ...],
    indices: str,
    listing: bool,
    smooth: int,
    log: bool,
    x_range: tuple[float, float] | None,
    y_range: tuple[float, float] | None,
    out: Path,
    text: bool,
    live: bool,
    interval: float,
) -> None:
    """Draw statistics of one or several trainings as curves.

    A FILE is what a coffee lounge saved (see `setup_coffee_lounge`), or the log of a training by Caffe or by
    `mocha caffe train`. Without -k and -i, the objective and the accuracies are drawn. Statistics of very different
    size get two axes, left and right; in the terminal two panels. There may be 24 curves.

    With --live, a FILE need not be there yet. It may be looked at while a training writes it.
    """
    named = titles(files)
    wish = _Wish(keys, _numbers(indices), smooth, log, x_range, y_range)
    if live:
        if listing:
            raise click.UsageError("--list and --live exclude each other.")
        follower = Follower(named, read_curves)
        try:
            _live_text(follower, wish, interval) if text else _live_picture(follower, wish, interval, out)
        except KeyboardInterrupt:
            click.echo("", err=True)
        return
    sources = {name: read_curves(path) for name, path in named.items()}
    if listing:
        click.echo(table(("#", "file", *HEAD), numbered_rows(sources), right=(0, 3, 4, 5, 6, 7)))
    elif text:
        _console().print(wish.text(sources, 80, 22))
    else:
        click.echo(f"Wrote {wish.picture(sources, new_figure(*SIZE), out)}")


def read_curves(path: Path) -> Numbers:
    """The statistics in a file of a coffee lounge, or in a log of Caffe's.

    Raises:
        FormatError: the file is missing, damaged, or neither.
    """
    return read_log(path) if path.is_file() and not file_is_hdf5(path) else read_statistics(path)


@dataclasses.dataclass(frozen=True)
class _Wish:
    """What is to be drawn of the files, and how."""

    keys: tuple[str, ...]
    numbers: list[int]
    smooth: int
    log: bool
    x_range: tuple[float, float] | None
    y_range: tuple[float, float] | None

    def __post_init__(self) -> None:
        check_range("--x-range", self.x_range)
        check_y_range("--y-range", self.y_range, log=self.log)

    def curves(self, sources: Mapping[str, Numbers]) -> list[Curve]:
        """Those of the files."""
        pairs = chosen(sources, self.keys, self.numbers)
        return curves(sources, pairs, smooth=self.smooth, log=self.log, x_range=self.x_range)

    def picture(self, sources: Mapping[str, Numbers], figure: Any, out: Path) -> Path:
        """Draw into an empty figure, and write it."""
        draw_curves(figure, self.curves(sources), log=self.log, y_range=self.y_range)
        return save_figure(figure, out, dpi=150)

    def text(self, sources: Mapping[str, Numbers], width: int, height: int) -> Any:
        """Draw for a terminal."""
        return text_curves(self.curves(sources), width=width, height=height, log=self.log, y_range=self.y_range)


def _live_picture(follower: Follower, wish: _Wish, interval: float, out: Path) -> None:
    """The file, and a window if there can be one."""
    shown = window()
    figure = new_figure(*SIZE) if shown is None else shown.figure
    check_format(out)
    click.echo(f"Drawing {out} when a file changes; Ctrl-C ends.", err=True)
    told: list[str] = []
    for _ in rounds(interval):
        if shown is not None and shown.closed:
            return
        if follower.look():
            figure.clear()
            _, problems = _tried(follower, lambda: wish.picture(follower.sources, figure, out))
            for problem in problems:
                if problem not in told:
                    click.echo(problem, err=True)
            told = problems
        if shown is not None:
            shown.show()


def _live_text(follower: Follower, wish: _Wish, interval: float) -> None:
    """The terminal."""
    from rich.console import Group
    from rich.live import Live

    console = _console()
    with Live(console=console, auto_refresh=False) as screen:
        for _ in rounds(interval):
            if follower.look():
                drawn, problems = _tried(follower, lambda: wish.text(follower.sources, *_room(console)))
                parts = [drawn] if drawn is not None else []
                screen.update(Group(*parts, *problems), refresh=True)


def _room(console: Any) -> tuple[int, int]:
    """Columns and lines of the terminal, but for some lines that tell of files."""
    return console.width, max(10, console.height - 3)


def _tried(follower: Follower, draw: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What `draw` gives, None while there is nothing to draw; and what is to be told."""
    problems = [visible(problem, 1000) for problem in follower.problems.values()]
    if not follower.sources:
        return None, problems
    try:
        return draw(), problems
    except ConfigError as error:  # a statistic may appear later
        return None, [*problems, visible(str(error), 1000)]


def _numbers(given: str) -> list[int]:
    """Numbers with commas between them.

    Raises:
        UsageError: there is something else.
    """
    parts = [part.strip() for part in given.split(",")] if given else []
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise click.UsageError(f"-i is {given!r}; expected numbers from --list with commas between them, as 1,3.")
    return [int(part) for part in parts]


def _console() -> Any:
    """Standard output, for pictures of letters."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)
