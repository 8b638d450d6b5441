"""`mocha check`: are a net's gradients right?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mocha.cli.nets import built_in, chosen_backend, from_script, net_options
from mocha.console import quiet
from mocha.testing import check_gradients
from mocha.testing.catalogue import examine_all
from mocha.testing.catalogue import report as report_of


@click.command(short_help="Hold the gradients of a net against differences.")
@net_options
@click.option("--catalogue", is_flag=True, help="Instead: all layers, neurons, solvers ... that there are.")
@click.option("--elements", type=click.IntRange(1), default=20, show_default=True, help="To check, of each array.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the choice of elements.")
def check(
    model: str | None, script: Path | None, backend: str | None, catalogue: bool, elements: int, seed: int
) -> None:
    """Hold a net's gradients against differences of its objective, in float64.

    MODEL is a built-in net, lenet unless told, on data without meaning. With --script, the program FILE is executed,
    and must define a function build(backend) that returns a Net. The exit status is 1 if a gradient is wrong.

    With --catalogue, a small training with each thing that Mocha is made of runs on each backend; the results are
    compared, and the gradients of layers and neurons checked.
    """
    if catalogue:
        if script is not None or model is not None:
            raise click.UsageError("--catalogue takes neither MODEL nor --script.")
        _check_catalogue(["numpy", backend] if backend else None)
        return
    if script is not None and model is not None:
        raise click.UsageError("--script takes the place of MODEL.")
    with chosen_backend(backend) as machine:
        build = built_in(model or "lenet", 4) if script is None else from_script(script)
        with build(machine) as net:
            report = check_gradients(net, elements=elements, seed=seed)
    click.echo(report)
    if not report.ok:
        sys.exit(1)


def _check_catalogue(names: list[str] | None) -> None:
    """All entries of the catalogue on the backends, the reference first."""
    with quiet():
        rows = examine_all(names)
    click.echo(report_of(rows))
    if not all(row.ok for row in rows):
        sys.exit(1)
