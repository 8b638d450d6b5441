"""The examples in docstrings are executed, and every entry of the catalogue has one."""

import doctest
import importlib
import logging
import pkgutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import mocha
from mocha.testing import catalogue

NAMES = {name: getattr(mocha, name) for name in mocha.__all__} | {"np": np, "h5py": h5py, "Path": Path}


def examples():
    """All docstrings with examples, each once, where it is written."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for about in pkgutil.walk_packages(mocha.__path__, "mocha."):
        if about.name.endswith(("_native", "__main__")):
            continue
        module = importlib.import_module(about.name)
        for test in finder.find(module, about.name, extraglobs=NAMES):
            if test.examples:
                yield pytest.param(test, id=test.name)


EXAMPLES = list(examples())


@pytest.mark.parametrize("test", EXAMPLES)
def test_example(test, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("mocha"), "level", logging.WARNING)
    told = []
    with np.printoptions(precision=4, suppress=True):
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
        result = runner.run(test, out=told.append)
    assert result.failed == 0, "".join(told)
    assert result.attempted > 0


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_entry_has_an_example_and_tells_its_arguments(entry):
    text = entry.cls.__doc__
    assert "Examples:" in text
    assert entry.cls.__name__.removesuffix("Layer") in text.partition("Examples:")[2] or "." in entry.name
