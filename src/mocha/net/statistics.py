"""Averages of what layers report, over batches."""

from __future__ import annotations

from collections.abc import Callable

from mocha.backends import Executable
from mocha.graph import Statistic
from mocha.ops import Array

_MOST_WAITING = 256
"""Numbers that a backend may still be computing."""


class RunningMeans:
    """Means weighted by what a batch averages over, summed in float64 (a Python float)."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Statistic, float, int]] = {}
        self._waiting: list[tuple[Statistic, Callable[[], Array]]] = []

    def reset(self) -> None:
        """Forget everything."""
        self._sums.clear()
        self._waiting.clear()

    def add(self, executable: Executable) -> None:
        """Add what the layers reported about the last batch. The numbers are waited for when they are asked for."""
        self._waiting += [(s, executable.read_later(s.value)) for s in executable.program.statistics]
        if len(self._waiting) > _MOST_WAITING:
            self._settle()

    def _settle(self) -> None:
        for statistic, read in self._waiting:
            key = f"{statistic.layer}-{statistic.key}"
            _, total, count = self._sums.get(key, (statistic, 0.0, 0))
            self._sums[key] = statistic, total + float(read()) * statistic.count, count + statistic.count
        self._waiting.clear()

    def means(self) -> dict[str, float]:
        """``<layer>-<key>`` -> mean; with a complement also ``<layer>-<complement>`` -> 1 - mean."""
        self._settle()
        result = {}
        for key, (statistic, total, count) in self._sums.items():
            result[key] = total / max(count, 1)
            if statistic.complement:
                result[f"{statistic.layer}-{statistic.complement}"] = 1 - result[key]
        return result

    def lines(self) -> list[str]:
        """One line a statistic: layer, key, how many things it averages over, mean."""
        self._settle()
        lines = []
        for statistic, total, count in self._sums.values():
            mean = total / max(count, 1)
            shown = f"{100 * mean:.4f}%" if statistic.percent else f"{mean:.6f}"
            lines.append(f"{statistic.layer}: {statistic.key} (avg over {count}) = {shown}")
        return lines
