"""The packages of the extra `cuda`, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from mocha.errors import BackendUnavailable

_PACKAGE_OF = {
    "cuda.bindings": "cuda-bindings",
    "cudnn": "nvidia-cudnn-frontend",
    "nvmath.bindings": "nvmath-python",
    "cupy": "cupy-cuda13x",
}


def require(module: str) -> Any:
    """A module of one of these packages.

    Raises:
        BackendUnavailable: it is not installed, or does not load; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # a broken installation raises whatever it likes
        package = next((name for prefix, name in _PACKAGE_OF.items() if module.startswith(prefix)), module)
        raise BackendUnavailable(
            f"{package} is not there ({type(error).__name__}: {error}). Install the packages for NVIDIA GPUs: "
            "pip install 'mocha-dl[cuda]'."
        ) from error
