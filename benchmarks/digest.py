"""`python -m benchmarks.digest results.json`: the table of a results file that the documentation shows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OURS = "mocha native"
HEAD = ("net", "what", "batch", "Mocha, ms", "best other, ms", "which", "best other / Mocha")


def _median(result: dict[str, Any]) -> float:
    return result["seconds"]["median"]


def _rows(races: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for race in races:
        timed = {result["contestant"]: result for result in race["results"] if result["samples"]}
        if OURS not in timed or race["best yardstick"] is None:
            continue
        best = timed[race["best yardstick"]]
        milliseconds = [f"{1e3 * _median(result):.3g}" for result in (timed[OURS], best)]
        ratio = f"{race['best yardstick / contestant'][OURS]:.2f}"
        yield race["work"], race["kind"], str(race["batch"]), *milliseconds, best["contestant"], ratio


def digest(path: Path) -> str:
    """Machine and versions, and a row for each race in which the native backend and another program were timed."""
    content = json.loads(path.read_text(encoding="utf-8"))
    about = content["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [f"{about['cpu']}, {about['threads']} threads, {about['date'][:10]}; {versions}.", ""]
    lines += ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(row) + " |" for row in _rows(content["races"])]
    return "\n".join(lines)


if __name__ == "__main__":
    print(digest(Path(sys.argv[1])))
