"""Statistics as rows of a table: how many records, which range, the last one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mocha.visual.curves import Numbers, numbered

HEAD = ("key", "records", "iterations", "least", "most", "last")


def statistic_row(key: str, numbers: Mapping[int, float]) -> tuple[str, ...]:
    """What is told of one statistic, under `HEAD`."""
    iterations = sorted(numbers)
    known = [numbers[i] for i in iterations if math.isfinite(numbers[i])]
    if not iterations:
        return key, "0", "", "", "", ""
    ends = (f"{min(known):.6g}", f"{max(known):.6g}") if known else ("", "")
    span = f"{iterations[0]} to {iterations[-1]}" if len(iterations) > 1 else str(iterations[0])
    return key, str(len(iterations)), span, *ends, f"{numbers[iterations[-1]]:.6g}"


def numbered_rows(sources: Mapping[str, Numbers]) -> Sequence[tuple[str, ...]]:
    """Number, source and what is told of each statistic of each source."""
    return [
        (str(number), source, *statistic_row(key, sources[source][key]))
        for number, (source, key) in enumerate(numbered(sources), 1)
    ]
