"""The nets that commands work on: a built-in one on noise, or one that a program of the user makes."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mocha.backends import AbstractBackend, Backend, DefaultBackend, backend_types
from mocha.errors import ConfigError, MochaError
from mocha.models import MODELS, find_model
from mocha.net import Net

_BATCHES = 4
"""How many different batches the data of a built-in model have."""


backend_option = click.option(
    "--backend", type=click.Choice(list(backend_types())), help="Where to run; default: the best here."
)
"""Where a command runs: the parameter `backend`, for `chosen_backend`."""


def chosen_backend(name: str | None) -> AbstractBackend:
    """The backend of that name, or the best here."""
    return Backend(name) if name else DefaultBackend()


def script_option(place: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A program that makes the net: the parameter `script`, for `from_script`.

    Args:
        place: what it takes the place of, as "MODEL".
    """
    return click.option(
        "--script",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help=f"A Python program of yours, in the place of {place}; it is executed.",
    )


def net_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which net a command works on, and where: the parameters `model`, `script` and `backend`."""
    for option in (
        backend_option,
        script_option("a built-in model"),
        click.argument("model", type=click.Choice(list(MODELS)), required=False),
    ):
        function = option(function)
    return function


def built_in(name: str, batch: int | None) -> Callable[[AbstractBackend], Net]:
    """Makes a net of a built-in model."""
    model = find_model(name)
    size = batch or model.batch

    def build(backend: AbstractBackend) -> Net:
        return Net(model.name, backend, model.training(*model.noise(_BATCHES * size), batch=size))

    return build


def from_script(path: Path) -> Callable[[AbstractBackend], Net]:
    """Makes the net that a program defines.

    Raises:
        ConfigError: it defines no function `build`, or that gives no net.
        MochaError: it failed.
    """
    try:
        build = runpy.run_path(str(path)).get("build")
    except MochaError:
        raise
    except Exception as error:
        raise MochaError(f"{path}: {type(error).__name__}: {error}") from error
    if not callable(build):
        raise ConfigError(f"{path} defines no function build(backend); write one that returns a Net.")

    def checked(backend: AbstractBackend) -> Net:
        try:
            net = build(backend)
        except MochaError:
            raise
        except Exception as error:
            raise MochaError(f"{path}: build failed: {type(error).__name__}: {error}") from error
        if not isinstance(net, Net):
            raise ConfigError(f"{path}: build(backend) returned {net!r}; expected a Net.")
        if net.backend is not backend:
            raise ConfigError(f"{path}: build(backend) made its net on another backend than the one that it was given.")
        return net

    return checked
