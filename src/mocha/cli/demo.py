"""`mocha demo`: train LeNet on handwritten digits, and report."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

from mocha.backends import AbstractBackend
from mocha.cli.convert.mnist import located_mnist
from mocha.cli.nets import backend_option, chosen_backend
from mocha.coffee import Snapshot, TrainingSummary, ValidationPerformance, setup_coffee_lounge
from mocha.data import DataTransformers, download_mnist, load_digits, load_mnist
from mocha.data.converters.mnist import Digits
from mocha.errors import MochaError
from mocha.layers import AccuracyLayer, MemoryDataLayer, SoftmaxLayer, SoftmaxLossLayer
from mocha.models import lenet
from mocha.net import Net
from mocha.ops import Array
from mocha.random import DEFAULT_SEED
from mocha.solvers import SGD, LRPolicy, MomPolicy, Solver, make_solver_parameters
from mocha.visual import Mistake, report_picture


@click.command(short_help="Train LeNet on handwritten digits, and report.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder with MNIST's four files.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("mocha-demo"),
    show_default=True,
    help="Folder for results.",
)
@click.option("--iterations", type=click.IntRange(1), default=2000, show_default=True, help="How long to train.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=DEFAULT_SEED, help="Of weights and order.")
@backend_option
@click.option("--offline", is_flag=True, help="Download nothing.")
def demo(data: Path | None, out: Path, iterations: int, seed: int, backend: str | None, offline: bool) -> None:
    """Train LeNet on handwritten digits: MNIST if it can be had, else scikit-learn's small set.

    MNIST is looked for in --data, $MOCHA_DATA, the user's cache and ../shared/data/mnist, and downloaded (11 MB) if it
    is in none of them. Leaves a snapshot, the statistics and a picture in the folder --out.
    """
    digits, origin = _digits(data, offline)
    if origin != "MNIST":
        click.echo("In the place of MNIST, scikit-learn's 1,797 digits of 8x8 pixels are used, enlarged to 28x28.")
    click.echo(f"Data: {origin}, {len(digits['train_images']):,} to train, {len(digits['test_images']):,} to test.")
    with chosen_backend(backend) as machine:
        _train_and_report(machine, digits, origin, out, iterations, seed)


def _digits(data: Path | None, offline: bool) -> tuple[Digits, str]:
    """The digits, and where they came from."""
    folder = located_mnist(data)
    if folder is None and not offline:
        click.echo("MNIST is not on this machine; trying to download it (11 MB).")
        try:
            folder = download_mnist()
        except MochaError as error:
            click.echo(f"That did not work: {error}")
    if folder is not None:
        return load_mnist(folder), "MNIST"
    return load_digits(), "scikit-learn's digits"


def _source(digits: Digits, part: str, batch: int, *, shuffle: bool) -> MemoryDataLayer:
    """Batches of 28x28 pixels from 0 to 1."""
    images, labels = digits[f"{part}_images"], digits[f"{part}_labels"]
    return MemoryDataLayer(
        name=f"{part}-data",
        data=[images[:, None], labels],
        batch_size=batch,
        shuffle=shuffle,
        transformers=[("data", DataTransformers.Scale(1 / 256))],
    )


def _train_and_report(
    backend: AbstractBackend, digits: Digits, origin: str, out: Path, iterations: int, seed: int
) -> None:
    layers = lenet()
    train = [
        _source(digits, "train", 64, shuffle=True),
        *layers,
        SoftmaxLossLayer(name="loss", bottoms=["ip2", "label"]),
    ]
    test = [
        _source(digits, "test", min(100, len(digits["test_images"])), shuffle=False),
        *layers,
        SoftmaxLayer(name="softmax", bottoms=["ip2"], tops=["probability"]),
        AccuracyLayer(name="test-accuracy", bottoms=["ip2", "label"]),
    ]
    with Net("LeNet", backend, train, seed=seed) as net, Net("LeNet-test", backend, test, seed=seed) as test_net:
        click.echo(str(net))
        method = SGD()
        params = make_solver_parameters(
            method,
            max_iter=iterations,
            regu_coef=0.0005,
            mom_policy=MomPolicy.Fixed(0.9),
            lr_policy=LRPolicy.Inv(0.01, 0.0001, 0.75),
        )
        solver = Solver(method, params)
        setup_coffee_lounge(solver, save_into=out / "statistics.h5", every_n_iter=500, file_exists="overwrite")
        solver.add_coffee_break(TrainingSummary("iter", "obj_val", "examples_per_second"), every_n_iter=50)
        solver.add_coffee_break(ValidationPerformance(test_net), every_n_iter=min(250, iterations))
        solver.add_coffee_break(Snapshot(out), every_n_iter=iterations)
        started = time.monotonic()
        state = solver.solve(net)
        seconds = time.monotonic() - started
        confusion, mistakes = _examine(test_net, digits)
        accuracy = np.trace(confusion) / confusion.sum()
        click.echo(
            f"Accuracy on {confusion.sum():,} test digits: {100 * accuracy:.2f} % after {state.iteration} iterations."
        )
        rate = f"{state.iteration / seconds:.0f} iterations a second"
        click.echo(f"Training took {seconds:.0f} s with its validations on the {backend.name} backend ({rate}).")
        try:
            picture = report_picture(
                out / "report.png",
                title=f"LeNet on {origin}: {100 * accuracy:.2f} % after {state.iteration} iterations",
                objective=solver.lounge.get_statistics("obj_val"),
                accuracy=solver.lounge.get_statistics("test-accuracy-accuracy"),
                confusion=confusion,
                filters=net.params["conv1"]["filter"][:, 0],
                mistakes=mistakes,
            )
            click.echo(f"Picture: {picture}")
        except MochaError as error:
            click.echo(f"No picture: {error}")
        click.echo(f"Snapshots and statistics: {out}")


def _examine(net: Net, digits: Digits) -> tuple[Array, list[Mistake]]:
    """Run all test digits; count what is taken for what, and collect the mistakes, the surest first."""
    images, labels = digits["test_images"], digits["test_labels"].astype(np.int64)
    net.rewind()
    batches: list[Array] = []
    while sum(len(batch) for batch in batches) < len(labels):
        net.forward(phase="test")
        batches.append(net.blobs["probability"])
    probability = np.concatenate(batches)[: len(labels)]
    guess = probability.argmax(axis=1)
    confusion = np.zeros((10, 10), np.int64)
    np.add.at(confusion, (labels, guess), 1)
    wrong = np.flatnonzero(guess != labels)
    mistakes = [Mistake(images[i], int(labels[i]), int(guess[i]), float(probability[i].max())) for i in wrong]
    return confusion, sorted(mistakes, key=lambda m: -m.confidence)
