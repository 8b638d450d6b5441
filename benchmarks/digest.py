"""`python -m benchmarks.digest results.json`: a results file as the documentation shows it.

The pages of the documentation are filled in by these functions when they are built, so that no number is typed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OURS = "mocha native"
TITLES = {"lenet": "LeNet", "cifar": "CIFAR-10 quick", "mlp": "Multilayer perceptron", "caffenet": "CaffeNet"}
"""What the nets are called in print."""

Content = dict[str, Any]


def read(path: Path) -> Content:
    """What `python -m benchmarks --json` wrote."""
    content: Content = json.loads(path.read_text(encoding="utf-8"))
    return content


def machine(content: Content) -> str:
    """The machine, the versions and the command, in one paragraph."""
    about = content["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    sets = " and ".join(name for name, key in (("AVX2", "avx2"), ("AVX-512", "avx512")) if about[key])
    return (
        f"{about['cpu']}, {about['system']}, {sets or 'no AVX'}, {about['cores']} processors, {about['threads']} "
        f"threads for each contestant, {about['date'][:10]}; {versions}.\n\n```text\n{about['command']}\n```"
    )


def summary(content: Content) -> str:
    """A row for each race in which the native backend and another program were timed."""
    head = ("net", "what", "batch", "Mocha, ms", "fastest other, ms", "which", "other / Mocha")
    rows = (
        (title(race), race["kind"], str(race["batch"]), ms(mine), ms(best), best["contestant"], ratio(race, OURS))
        for race, mine, best in _decided(content)
    )
    return _table(head, rows)


def details(content: Content) -> str:
    """A section for each race: every contestant with its median and its spread."""
    parts = []
    for race in content["races"]:
        rows = (
            (
                result["contestant"],
                *((ms(result), ms(result, "min"), ms(result, "max")) if result["samples"] else ("", "", "")),
                ratio(race, result["contestant"]) or result["reason"],
                ", ".join(f"{what} {error:.1e}" for what, error in result["error"].items())
                or "is what others are held to",
            )
            for result in race["results"]
        )
        head = ("contestant", "median, ms", "min", "max", "fastest other / it", "error")
        parts.append(f"### {title(race)}, {race['kind']}, batch {race['batch']}\n\n{_table(head, rows)}")
    return "\n\n".join(parts)


def bars(content: Content, kind: str = "training step") -> str:
    """The races of a kind as bars, in HTML: Mocha's time and that of the fastest other program."""
    groups = []
    for race, mine, best in _decided(content):
        if race["kind"] == kind:
            longest = max(_seconds(mine), _seconds(best))
            pair = (("Mocha", mine, "ours"), (best["contestant"], best, "other"))
            lines = "".join(
                f'<span class="who">{who}</span>'
                f'<span class="bar {mark}" style="width: {100 * _seconds(result) / longest:.1f}%"></span>'
                f'<span class="time">{ms(result)} ms</span>'
                for who, result, mark in pair
            )
            head = f'<p class="race">{title(race)}, batches of {race["batch"]}</p>'
            groups.append(f'<div>{head}<div class="bars">{lines}</div></div>')
    return f'<div class="races">{"".join(groups)}</div>'


def title(race: Content) -> str:
    """The net's name in print."""
    return TITLES.get(race["work"], race["work"])


def ms(result: Content, which: str = "median") -> str:
    """Milliseconds of a call, three figures."""
    return f"{1e3 * result['seconds'][which]:.3g}"


def ratio(race: Content, contestant: str) -> str:
    """How often a contestant's time goes into that of the fastest which is not Mocha; empty if it was not timed."""
    found = race["best yardstick / contestant"].get(contestant)
    return "" if found is None else f"{found:.2f}"


def _decided(content: Content) -> Iterator[tuple[Content, Content, Content]]:
    """Each race in which we and another were timed, with our result and the best other one."""
    for race in content["races"]:
        timed = {result["contestant"]: result for result in race["results"] if result["samples"]}
        if OURS in timed and race["best yardstick"] is not None:
            yield race, timed[OURS], timed[race["best yardstick"]]


def _seconds(result: Content) -> float:
    seconds: float = result["seconds"]["median"]
    return seconds


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


if __name__ == "__main__":
    results = read(Path(sys.argv[1]))
    print(machine(results), summary(results), details(results), sep="\n\n")
