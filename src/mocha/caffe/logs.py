"""The log of a training, by Caffe or by `mocha caffe train`, as statistics.

====================================  =====================================
``Iteration 100, loss = 1.7``         ``obj_val``
``Train net output #0: loss = 1.7``   ``train-loss``
``Test net output #0: acc = 0.5``     ``test-acc``; ``test1-acc`` of net #1
``Test loss: 0.9``                    ``test-obj_val``
``Iteration 100, lr = 0.01``          ``learning_rate``
====================================  =====================================

The first and the last are named as Mocha's own breaks name them, so that trainings can be compared. Of an output that
is several numbers the second is called ``test-acc#2``, and so on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from mocha.caffe.files import PathLike
from mocha.caffe.net import existing
from mocha.errors import FormatError
from mocha.visual import Statistics

_NUMBER = r"([-+]?(?:[0-9.]{1,40}(?:[eE][-+]?[0-9]{1,4})?|nan|inf)|-?nan)"
_LINE = re.compile(
    rf"Iteration (?P<iteration>[0-9]{{1,18}})(?: \([^()]{{0,100}}\))?, "
    rf"(?:(?P<what>loss|lr) = (?P<value>{_NUMBER})|Testing net \(#(?P<net>[0-9]{{1,4}})\))"
    rf"|(?P<phase>Train|Test) net output #(?P<index>[0-9]{{1,6}}): (?P<name>\S{{1,200}}) = (?P<output>{_NUMBER})"
    rf"|Test loss: (?P<total>{_NUMBER})"
)
_LONGEST = 4096
"""Characters of a line that are looked at; Caffe's are far shorter."""
_MOST = 1000
"""Statistics of a log: more outputs than that are not looked at."""


def read_log(path: PathLike) -> Statistics:
    """The numbers that Caffe wrote into the log of a training.

    A line that is not yet complete, at the end of a log that is being written, is left out.

    Args:
        path: the file; what else it holds is passed over.

    Returns:
        name -> iteration -> number; see `mocha.caffe.logs` for the names.

    Raises:
        FormatError: the file is missing, or holds no such lines.
    """
    with existing(os.fspath(path)).open("rb") as file:
        statistics = _collected(_lines(file))
    if not statistics:
        raise FormatError(
            f"{path}: found no line such as 'Iteration 100, loss = 0.5'; expected the log of a training by Caffe, or a "
            "statistics file of a coffee lounge (HDF5)."
        )
    return statistics


def _lines(file: BinaryIO) -> Iterator[str]:
    """Whole lines, the beginning of those that are too long."""
    while line := file.readline(_LONGEST):
        whole = line.endswith(b"\n")
        while not whole and (rest := file.readline(_LONGEST)):
            whole = rest.endswith(b"\n")
        if whole:
            yield line.decode(errors="replace")


def _collected(lines: Iterator[str]) -> Statistics:
    statistics = Statistics()
    iteration, net = 0, ""
    seen: dict[str, int] = {}  # outputs of one name since the last headline
    for line in lines:
        found = _LINE.search(line)
        if found is None:
            continue
        if found["iteration"]:
            iteration, seen = int(found["iteration"]), {}
            if found["net"]:
                net = found["net"].lstrip("0")
                continue
            key, value = {"loss": "obj_val", "lr": "learning_rate"}[found["what"]], found["value"]
        elif found["total"]:
            key, value = f"test{net}-obj_val", found["total"]
        else:
            name = f"{'train' if found['phase'] == 'Train' else f'test{net}'}-{found['name']}"
            seen[name] = seen.get(name, 0) + 1
            key, value = name if seen[name] == 1 else f"{name}#{seen[name]}", found["output"]
        number = _number(value)
        if number is not None and (key in statistics or len(statistics) < _MOST):
            statistics.setdefault(key, {})[iteration] = number
    return statistics


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # as "1.2.3"
        return None
