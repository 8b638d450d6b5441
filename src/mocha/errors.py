"""What can go wrong, by kind. Every message says what was received, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MochaError(Exception):
    """Base of every error that Mocha raises on purpose."""


class ConfigError(MochaError, ValueError):
    """A property, an option or an argument has a value that cannot be."""


class ShapeError(MochaError, ValueError):
    """Arrays or blobs have shapes or types that do not fit together."""


class TopologyError(MochaError, ValueError):
    """The layers of a net do not connect to a net."""


class FormatError(MochaError, ValueError):
    """A file, or the data in it, is damaged or is not what it should be."""


class BackendUnavailable(MochaError, RuntimeError):
    """A backend was asked for that cannot run here."""


class StateError(MochaError, RuntimeError):
    """Something was asked for at the wrong moment: before it was computed, or after it was released."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A closing sentence for an error about an unknown name: the nearest known one, or the list of all.

    Args:
        word: the name that was received.
        known: the names that would have been understood.
    """
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(names)}." if names else "None are known."
