"""Where Mocha keeps what it downloads, and what it compiles once."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``mocha`` in the user's cache folder; `MOCHA_CACHE` names another one."""
    named = os.environ.get("MOCHA_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "mocha"
