"""The coffee lounge: statistics in a file.

The file is HDF5: one group a statistic (its name percent-encoded where it holds '/' or '%'), with the data sets
`iteration` (int64) and `value` (float64), in the order of the iterations.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np

from mocha.coffee.progress import ProgressBar
from mocha.console import logger, on_terminal
from mocha.errors import ConfigError, FormatError
from mocha.io import atomic_path, open_hdf5
from mocha.io.hdf5 import find_dataset, read_array, reading
from mocha.solvers import CoffeeBreak, Lounge, Solver, SolverState
from mocha.visual import Statistics

if TYPE_CHECKING:
    from mocha.net import Net


def setup_coffee_lounge(
    solver: Solver,
    *,
    save_into: str | Path = "",
    every_n_iter: int = 1,
    file_exists: str = "merge",
    progress: bool | None = None,
) -> None:
    """Say where the statistics of a training go.

    Args:
        solver: the solver.
        save_into: an HDF5 file; empty to keep statistics in memory only.
        every_n_iter: save them at iterations that are a multiple of it, and at the end.
        file_exists: what to do with a file that is there: "merge" starts with what it holds, "overwrite" starts
            empty, "panic" refuses.
        progress: show a progress bar; None shows one if standard error is a terminal.

    Raises:
        ConfigError: a wrong `file_exists`, or the file is there and it says "panic".
        FormatError: the file is there, is to be merged, and is no statistics file.
    """
    if file_exists not in ("merge", "overwrite", "panic"):
        raise ConfigError(
            f"setup_coffee_lounge: file_exists is {file_exists!r}; expected 'merge', 'overwrite' or 'panic'."
        )
    if save_into:
        path = Path(save_into)
        if path.exists():
            if file_exists == "panic":
                raise ConfigError(
                    f"setup_coffee_lounge: {path} exists; move it away, or choose file_exists='merge' or 'overwrite'."
                )
            if file_exists == "merge":
                solver.lounge.statistics = read_statistics(path)
            else:
                logger().warning("The statistics in %s will be overwritten.", path)
        solver.add_coffee_break(_StatisticsFile(path, solver.lounge), every_n_iter=every_n_iter, last=True)
    if progress or (progress is None and on_terminal()):
        solver.add_coffee_break(ProgressBar(solver.params["max_iter"]), every_n_iter=1, last=True)


class _StatisticsFile(CoffeeBreak):
    """Saves the statistics, last of all breaks."""

    def __init__(self, path: Path, lounge: Lounge) -> None:
        self._path = path
        self._lounge = lounge

    def enjoy(self, lounge: Lounge, net: Net, state: SolverState) -> None:
        """Save, if something changed."""
        self.destroy(net)

    def destroy(self, net: Net) -> None:
        """Save what is new."""
        if self._lounge.changed:
            write_statistics(self._path, self._lounge.statistics)
            self._lounge.changed = False


def write_statistics(path: str | Path, statistics: Mapping[str, Mapping[int, float]]) -> None:
    """Write a statistics file, atomically.

    Args:
        path: the file.
        statistics: name -> iteration -> number.
    """
    import h5py

    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = "mocha-statistics"
        for name, numbers in statistics.items():
            group = file.create_group(_quoted(name))
            iterations = sorted(numbers)
            group["iteration"] = np.array(iterations, np.int64)
            group["value"] = np.array([numbers[i] for i in iterations], np.float64)


def _quoted(name: str) -> str:
    """A name as HDF5 takes it: without a slash, and not the dot that means the group itself."""
    return "%2E" if name == "." else quote(name, safe=" -_.,:+()[]")


def read_statistics(path: str | Path) -> Statistics:
    """Read a statistics file: name -> iteration -> number, in a dictionary that a notebook shows with its curves.

    Args:
        path: what `setup_coffee_lounge` had statistics saved into.

    Raises:
        FormatError: it is damaged, or something else.
    """
    statistics = Statistics()
    with open_hdf5(path) as file, reading(path):
        for name in file:
            statistics[unquote(name)] = _series(path, name, file)
    return statistics


def _series(path: str | Path, name: str, file: Any) -> dict[int, float]:
    """One statistic. Links to elsewhere are not followed, and sizes are checked before memory is taken."""
    try:
        iterations = read_array(find_dataset(file, f"{name}/iteration"), kinds="iu")
        values = read_array(find_dataset(file, f"{name}/value"), kinds="fiu")
        wrong = (
            "" if iterations.ndim == 1 and iterations.shape == values.shape else f"{iterations.shape}, {values.shape}"
        )
    except FormatError as error:
        wrong = str(error)
    if wrong:
        raise FormatError(
            f"{path}: {name!r} is no statistic ({wrong}); expected a group with the data sets 'iteration' and 'value' "
            "of one length. Is this a statistics file?"
        )
    return {int(i): float(v) for i, v in zip(iterations, values, strict=True)}
