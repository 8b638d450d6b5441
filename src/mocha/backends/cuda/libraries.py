"""NVIDIA's libraries: found, loaded, and told about."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

from mocha.backends.cuda.driver import Card, chosen_card, named_version, start_driver
from mocha.backends.cuda.extra import require
from mocha.errors import BackendUnavailable


def describe_gpu() -> str:
    """One line about the GPU and the libraries.

    Raises:
        BackendUnavailable: something is missing; the message says what and what to do.
    """
    card = Card(start_driver(), chosen_card())
    load_libraries()
    cudnn = require("cudnn")
    return (
        f"{card.name}, {card.memory / 2**30:.0f} GiB, compute capability {card.architecture / 10:.1f}, "
        f"CUDA {named_version(card.version)}, cuDNN {cudnn.backend_version_string()}"
    )


@functools.cache
def load_libraries() -> None:
    """Load NVIDIA's libraries from where pip put them, before others look for them elsewhere.

    Raises:
        BackendUnavailable: one is missing.
    """
    pathfinder = require("cuda.pathfinder")
    for name, package in (
        ("cudart", "nvidia-cuda-runtime"),
        ("nvrtc", "nvidia-cuda-nvrtc"),
        ("cublasLt", "nvidia-cublas"),
        ("cublas", "nvidia-cublas"),
        ("cudnn", "nvidia-cudnn-cu13"),
    ):
        try:
            found = pathfinder.load_nvidia_dynamic_lib(name)
        except Exception as error:
            raise BackendUnavailable(
                f"NVIDIA's library {name} ({package}) is not there ({error}). Install it: pip install 'mocha-dl[cuda]'."
            ) from error
        if name == "nvrtc" and found.abs_path:
            _load_beside(found.abs_path)


def _load_beside(path: str) -> None:
    """The run-time compiler's own library of built-in functions, which cuDNN's copy of it does not find by itself."""
    for library in sorted(Path(path).parent.glob("libnvrtc-builtins.so*")):
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
