"""`mocha caffe`: what Caffe's own commands do, with Caffe's own options."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import click
import numpy as np

import mocha.caffe as pycaffe
from mocha.caffe.files import write_bytes
from mocha.caffe.net import existing
from mocha.caffe.text import to_text
from mocha.console import logger

EFFECTS = ("stop", "snapshot", "none")


@click.group(short_help="Train, test, time and upgrade nets of Caffe's.")
def caffe() -> None:
    """Train, test and time Caffe's nets, and bring its files up to date.

    The options are those of the program `caffe`: -solver and --solver are the same.
    """


def _stages(given: str) -> list[str]:
    return [stage for stage in given.split(",") if stage]


def _python_layers(function: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--allow-python-layers", is_flag=True, help="Run the Python code that the net's file names, if it does."
    )
    return option(function)


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    """What all commands that run a net have: its state, its place, and Python layers."""
    for option in (
        _python_layers,
        click.option(
            "-gpu",
            "--gpu",
            expose_value=False,
            callback=_note_gpu,
            help="Run on the graphics card of this number, or on the first of several; with 'all', on the first.",
        ),
        click.option("-stage", "--stage", default="", help="Of the net's state; several with commas between them."),
        click.option("-level", "--level", default=0, help="Of the net's state."),
    ):
        function = option(function)
    return function


def _note_gpu(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value:
        first = value.split(",")[0].strip()
        pycaffe.set_device(int(first) if first.isdigit() else 0)
        pycaffe.set_mode_gpu()


@caffe.command()
@click.option("-solver", "--solver", required=True, type=click.Path(path_type=Path), help="The solver's .prototxt.")
@click.option("-snapshot", "--snapshot", type=click.Path(path_type=Path), help="A solver's state to go on from.")
@click.option("-weights", "--weights", default="", help="Weights to start from; several with commas between them.")
@click.option(
    "-sigint_effect",
    "--sigint_effect",
    type=click.Choice(EFFECTS),
    default="stop",
    show_default=True,
    help="What Ctrl-C does.",
)
@click.option(
    "-sighup_effect",
    "--sighup_effect",
    type=click.Choice(EFFECTS),
    default="snapshot",
    show_default=True,
    help="What a hang-up does.",
)
@_common
def train(
    solver: Path,
    snapshot: Path | None,
    weights: str,
    level: int,
    stage: str,
    sigint_effect: str,
    sighup_effect: str,
    allow_python_layers: bool,
) -> None:
    """Train a net as a solver's file says."""
    if snapshot is not None and weights:
        raise click.UsageError("Give -snapshot to go on, or -weights to start from, not both.")
    param = pycaffe.read_solver(existing(solver))
    param.train_state.level = level
    param.train_state.stage.extend(_stages(stage))
    if not param.snapshot_prefix:
        param.snapshot_prefix = str(solver.with_suffix(""))
    if weights or snapshot is not None:
        del param.weights[:]
        param.weights.extend([weights] if weights else [])
    made = pycaffe.Solver(param, allow_python_layers=allow_python_layers or None)
    effects = {signal.SIGINT: sigint_effect, signal.SIGHUP: sighup_effect}
    before = {number: signal.signal(number, _handler(made, effect)) for number, effect in effects.items()}
    try:
        made.solve(snapshot)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        made.close()


def _handler(solver: pycaffe.Solver, effect: str) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        if effect == "stop":
            solver.stop()
        elif effect == "snapshot":
            solver.ask_for_snapshot()

    return handle


def _net(model: Path, phase: int, level: int, stage: str, weights: str | None, allow: bool) -> pycaffe.Net:
    return pycaffe.Net(existing(model), phase, level, _stages(stage), weights, allow_python_layers=allow or None)


@caffe.command()
@click.option("-model", "--model", required=True, type=click.Path(path_type=Path), help="The net's .prototxt.")
@click.option("-weights", "--weights", required=True, help="Its weights.")
@click.option("-iterations", "--iterations", type=click.IntRange(1), default=50, show_default=True, help="Batches.")
@_common
def test(model: Path, weights: str, iterations: int, level: int, stage: str, allow_python_layers: bool) -> None:
    """Run a net on its data, and tell its outputs, batch by batch and on average."""
    net = _net(model, pycaffe.TEST, level, stage, weights, allow_python_layers)
    total: dict[tuple[str, int], float] = {}
    loss = 0.0
    logger().info("Running for %d iterations.", iterations)
    for batch in range(iterations):
        loss += net.forward_loss()
        for name in net.outputs:
            for at, value in enumerate(np.ravel(net.blobs[name].data)):
                total[name, at] = total.get((name, at), 0.0) + float(value)
                logger().info("Batch %d, %s = %g", batch, name, value)
    logger().info("Loss: %g", loss / iterations)
    for (name, _), value in total.items():
        weight, mean = net.blob_loss_weights[name], value / iterations
        logger().info("%s = %g%s", name, mean, f" (* {weight:g} = {weight * mean:g} loss)" if weight else "")
    net.close()


@caffe.command(name="time")
@click.option("-model", "--model", required=True, type=click.Path(path_type=Path), help="The net's .prototxt.")
@click.option("-iterations", "--iterations", type=click.IntRange(1), default=50, show_default=True, help="Repetitions.")
@click.option("-phase", "--phase", type=click.Choice(["TRAIN", "TEST"]), default="TRAIN", show_default=True)
@_common
def time_(model: Path, iterations: int, phase: str, level: int, stage: str, allow_python_layers: bool) -> None:
    """Time a net, forward and backward. (`mocha time` tells where the time goes, op by op.)"""
    which = pycaffe.TRAIN if phase == "TRAIN" else pycaffe.TEST
    net = _net(model, which, level, stage, None, allow_python_layers)
    everything = net.runner.everything
    net.runner.forward(everything)
    net.runner.backward(everything)
    forward = backward = 0.0
    for _ in range(iterations):
        begin = time.perf_counter()
        net.runner.forward(everything)
        between = time.perf_counter()
        net.runner.backward(everything)
        forward += between - begin
        backward += time.perf_counter() - between
    ms = 1000 / iterations
    logger().info("Average Forward pass: %g ms.", forward * ms)
    logger().info("Average Backward pass: %g ms.", backward * ms)
    logger().info("Average Forward-Backward: %g ms.", (forward + backward) * ms)
    logger().info("Total Time: %g ms.", 1000 * (forward + backward))
    net.close()


@caffe.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@_python_layers
def run(script: Path, arguments: tuple[str, ...], allow_python_layers: bool) -> None:
    """Run a Python script of yours that imports caffe, without a change.

    Within SCRIPT, `import caffe` means mocha.caffe; ARGUMENTS are what it gets.
    """
    if allow_python_layers:
        pycaffe.allow_python_layers()
    existing(script)
    try:
        pycaffe.run_script(script, arguments)
    except Exception as error:
        # The script is the user's: it fails as under `python`, with a traceback that begins there.
        place = error.__traceback__
        while place is not None and place.tb_frame.f_code.co_filename != str(script):
            place = place.tb_next
        traceback.print_exception(error.with_traceback(place or error.__traceback__))
        raise SystemExit(1) from error


@caffe.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--solver", is_flag=True, help="SOURCE is a solver, not a net.")
def upgrade(source: Path, target: Path, solver: bool) -> None:
    """Bring a net or a solver of an old format up to date.

    SOURCE is text or binary; TARGET is text if its name ends in .prototxt or .txt, else binary.
    """
    if solver:
        write_bytes(target, to_text(pycaffe.read_solver(existing(source))).encode())
    else:
        pycaffe.write_net(target, pycaffe.read_net(existing(source)))
    logger().info("Wrote %s.", target)
