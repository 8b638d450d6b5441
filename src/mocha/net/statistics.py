"""Averages of what layers report, over batches."""

from __future__ import annotations

from mocha.backends import Executable
from mocha.graph import Statistic


class RunningMeans:
    """Means weighted by what a batch averages over, summed in float64 (a Python float)."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Statistic, float, int]] = {}

    def reset(self) -> None:
        """Forget everything."""
        self._sums.clear()

    def add(self, executable: Executable) -> None:
        """Add what the layers reported about the last batch."""
        for statistic in executable.program.statistics:
            key = f"{statistic.layer}-{statistic.key}"
            _, total, count = self._sums.get(key, (statistic, 0.0, 0))
            value = float(executable.read(statistic.value))
            self._sums[key] = statistic, total + value * statistic.count, count + statistic.count

    def means(self) -> dict[str, float]:
        """``<layer>-<key>`` -> mean; with a complement also ``<layer>-<complement>`` -> 1 - mean."""
        result = {}
        for key, (statistic, total, count) in self._sums.items():
            result[key] = total / max(count, 1)
            if statistic.complement:
                result[f"{statistic.layer}-{statistic.complement}"] = 1 - result[key]
        return result

    def lines(self) -> list[str]:
        """One line a statistic: layer, key, how many things it averages over, mean."""
        lines = []
        for statistic, total, count in self._sums.values():
            mean = total / max(count, 1)
            shown = f"{100 * mean:.4f}%" if statistic.percent else f"{mean:.6f}"
            lines.append(f"{statistic.layer}: {statistic.key} (avg over {count}) = {shown}")
        return lines
