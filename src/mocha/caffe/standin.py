"""Lets `import caffe` mean `mocha.caffe`, for scripts that shall run without a change."""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from mocha.errors import ConfigError

MODULES = {
    "caffe": "mocha.caffe",
    "caffe.pycaffe": "mocha.caffe",
    "caffe.classifier": "mocha.caffe.classifier",
    "caffe.detector": "mocha.caffe.classifier",
    "caffe.coord_map": "mocha.caffe.coord_map",
    "caffe.draw": "mocha.caffe.draw",
    "caffe.io": "mocha.caffe.io",
    "caffe.net_spec": "mocha.caffe.net_spec",
    "caffe.proto": "mocha.caffe.proto",
    "caffe.proto.caffe_pb2": "mocha.caffe.proto.caffe_pb2",
}
"""Name in scripts -> the module that it means here."""


def stand_in() -> None:
    """Let `import caffe` and imports from its modules mean those of `mocha.caffe`, in this process.

    Raises:
        ConfigError: another Caffe has been imported already.
    """
    known = sys.modules.get("caffe")
    if known is not None and known is not importlib.import_module("mocha.caffe"):
        raise ConfigError(
            f"stand_in: {known!r} has been imported as caffe already; call stand_in() before the first import of caffe."
        )
    for name, ours in MODULES.items():
        sys.modules[name] = importlib.import_module(ours)


def run_script(path: str | Path, arguments: Sequence[str] = ()) -> None:
    """Run a Python script that imports caffe, as `python script.py` would.

    Args:
        path: the script.
        arguments: what it gets behind its name in `sys.argv`.

    Raises:
        ConfigError: there is no such script.
    """
    if not Path(path).is_file():
        raise ConfigError(f"there is no script {path}. Check the path.")
    stand_in()
    before = sys.argv, list(sys.path)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(Path(path).resolve().parent))
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv, sys.path[:] = before
