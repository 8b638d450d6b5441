"""The command line, one file a command."""

from __future__ import annotations

import errno
import sys
from typing import Any

import click

import mocha
from mocha.cli.caffe import caffe
from mocha.cli.check import check
from mocha.cli.classify import classify
from mocha.cli.convert import convert
from mocha.cli.demo import demo
from mocha.cli.draw import draw
from mocha.cli.filters import filters
from mocha.cli.info import info
from mocha.cli.plot import plot
from mocha.cli.time import time
from mocha.console import visible
from mocha.errors import MochaError


class _Group(click.Group):
    """Turns Mocha's own errors, and what the system refuses, into one line without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except MochaError as error:
            raise click.ClickException(_shown(str(error))) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output is gone: click ends quietly
                raise
            place = f": {error.filename}" if error.filename else ""
            raise click.ClickException(_shown(f"{error.strerror or error}{place}")) from error


def _shown(message: str) -> str:
    """A message as a terminal may get it: names out of files stand in it."""
    return "\n".join(visible(line, len(line)) for line in message.split("\n"))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(mocha.__version__, prog_name="mocha")
def main() -> None:
    """Mocha for Python: train nets of layers over named blobs."""


for command in (demo, convert, classify, draw, plot, filters, caffe, time, check, info):
    main.add_command(command)


def run() -> None:
    """Run the command line; for `python -m mocha`."""
    main(prog_name="mocha", args=sys.argv[1:])
