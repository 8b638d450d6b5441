"""The machines that programs run on, and the choice between them."""

from __future__ import annotations

import os
from collections.abc import Collection

from mocha.backends.base import AbstractBackend, Executable, ParameterBlock
from mocha.backends.cuda import CudaBackend, Numerics, Precision
from mocha.backends.native import NativeBackend, get_num_threads, set_num_threads
from mocha.backends.numpy import NumpyBackend
from mocha.console import logger
from mocha.errors import BackendUnavailable, ConfigError, did_you_mean

_BEST_FIRST: tuple[type[AbstractBackend], ...] = (CudaBackend, NativeBackend, NumpyBackend)
"""All backends, the fastest first: `DefaultBackend` takes the first that works here."""


def backend_types() -> dict[str, type[AbstractBackend]]:
    """All backends by name, the fastest first, whether they work here or not."""
    return {kind.name: kind for kind in _BEST_FIRST}


def Backend(name: str) -> AbstractBackend:
    """A new backend of that name.

    Raises:
        ConfigError: there is no such backend.
        BackendUnavailable: it cannot run here; the message says why and what to do.
    """
    kinds = backend_types()
    if name not in kinds:
        raise ConfigError(f"there is no backend {name!r}. {did_you_mean(name, kinds)}")
    kinds[name].describe()
    return kinds[name]()


def DefaultBackend(*, without: Collection[str] = ()) -> AbstractBackend:
    """A new backend: the one that the environment variable MOCHA_BACKEND names, or else the best that works here.

    Args:
        without: names of backends that are not wanted; MOCHA_BACKEND may name one of them nevertheless.

    Raises:
        BackendUnavailable: the named one cannot run here, or none can.
    """
    name = os.environ.get("MOCHA_BACKEND", "")
    if name:
        return Backend(name)
    reasons = []
    for kind in _BEST_FIRST:
        if kind.name in without or not kind.is_likely():
            continue
        try:
            backend = Backend(kind.name)
        except BackendUnavailable as error:
            reasons.append(f"{kind.name}: {error}")
            continue
        if reasons:
            logger().warning("Using the %s backend. Faster ones do not work here: %s", kind.name, " ".join(reasons))
        return backend
    raise BackendUnavailable("no backend works here. " + " ".join(reasons))


__all__ = [
    "AbstractBackend", "Backend", "CudaBackend", "DefaultBackend", "Executable", "NativeBackend", "Numerics",
    "NumpyBackend", "ParameterBlock", "Precision", "backend_types", "get_num_threads", "set_num_threads",
]  # fmt: skip
