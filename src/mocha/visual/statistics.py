"""Statistics of a training, as they are read from files and shown in notebooks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mocha.visual.page import card, statistics_element
from mocha.visual.plot import plot_statistics


class Statistics(dict[str, dict[int, float]]):
    """Name of a statistic -> iteration -> number: a dictionary that shows itself.

    In a notebook it is a table of the statistics with their curves.
    """

    def plot(self, path: str | os.PathLike[str], *keys: str, **options: Any) -> Path:
        """Draw statistics into a picture.

        Args:
            path: where to; the ending says the format: .png, .svg, .pdf.
            *keys: names of statistics, or patterns; without any the objective and the accuracies.
            **options: as for `mocha.visual.plot_statistics`.

        Returns:
            the path.

        Raises:
            ConfigError: an unknown key, or a value that cannot be.
            MochaError: matplotlib is not installed.
        """
        return plot_statistics({"": self}, path, keys=keys, **options)

    def _repr_html_(self) -> str:
        return card(f"{len(self)} statistics", statistics_element(self))
