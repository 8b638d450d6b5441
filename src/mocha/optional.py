"""Packages that are not always needed, imported when they are."""

from __future__ import annotations

import importlib
from typing import Any

from mocha.errors import MochaError

_OF_EXTRA = {
    "PIL": ("Pillow", "images"),
    "matplotlib": ("matplotlib", "plot"),
    "pooch": ("pooch", "demo"),
    "sklearn": ("scikit-learn", "demo"),
}
"""Top-level module -> name of its package, and the extra that installs it."""


def optional(module: str, purpose: str) -> Any:
    """A module of a package that an extra installs.

    Args:
        module: its full name, as "PIL.Image".
        purpose: what it is needed for, to begin the message with, as "reading images".

    Raises:
        MochaError: the package is not installed; the message says how to.
    """
    package, extra = _OF_EXTRA[module.partition(".")[0]]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MochaError(f'{purpose} needs {package}; install it with: pip install "mocha-dl[{extra}]"') from error
