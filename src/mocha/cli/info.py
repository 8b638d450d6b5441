"""`mocha info`: versions, and which backends work here."""

from __future__ import annotations

import platform
import sys

import click
import numpy as np

import mocha
from mocha.backends import AbstractBackend, Backend, backend_types
from mocha.errors import MochaError
from mocha.layers import InnerProductLayer, MemoryDataLayer, Neurons, SoftmaxLossLayer
from mocha.net import Net
from mocha.solvers import SGD, Solver, make_solver_parameters


@click.command(short_help="Tell versions, and which backends work here.")
def info() -> None:
    """Tell versions, and which backends work here, each by running a small training on it."""
    import h5py

    click.echo(f"mocha   {mocha.__version__}")
    click.echo(f"python  {platform.python_version()} on {platform.system()} {platform.machine()}")
    click.echo(f"numpy   {np.__version__}")
    click.echo(f"h5py    {h5py.__version__} (HDF5 {h5py.version.hdf5_version})")
    click.echo("")
    works = [report(name) for name in backend_types()]
    if not any(works):
        sys.exit(1)


def report(name: str) -> bool:
    """Print PASS or FAIL for a backend, with what it runs on or why it does not.

    Returns:
        whether it works.
    """
    try:
        about = backend_types()[name].describe()
        with Backend(name) as backend:
            try_out(backend)
    except Exception as error:
        click.echo(f"FAIL  {name:8}{error}")
        return False
    click.echo(f"PASS  {name:8}{about}")
    return True


def try_out(backend: AbstractBackend) -> None:
    """Train a small net on a problem with a known answer.

    Raises:
        MochaError: it did not learn it.
    """
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    quadrant = (angle // (np.pi / 2)).astype(np.float32)
    layers = [
        MemoryDataLayer(data=[points, quadrant], batch_size=64),
        InnerProductLayer(name="hidden", output_dim=16, neuron=Neurons.ReLU(), bottoms=["data"], tops=["hidden"]),
        InnerProductLayer(name="scores", output_dim=4, bottoms=["hidden"], tops=["scores"]),
        SoftmaxLossLayer(name="loss", bottoms=["scores", "label"]),
    ]
    with Net("info", backend, layers, seed=1) as net:
        method = SGD()
        params = make_solver_parameters(method, max_iter=200, lr_policy=mocha.LRPolicy.Fixed(0.5), regu_coef=0.0)
        before = net.forward(phase="test")
        Solver(method, params).solve(net)
        after = net.forward(phase="test")
    if not after < 0.2 * before:
        raise MochaError(
            f"a small training went wrong: the loss went from {before:.3f} to {after:.3f}, not below a fifth."
        )
