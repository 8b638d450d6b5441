"""Results as tables and as JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from benchmarks.race import summary
from mocha.graph.listing import table


@dataclasses.dataclass
class Result:
    """What became of one contestant in one race.

    Attributes:
        contestant: its name.
        ours: whether it is a backend of Mocha.
        error: how far its answers are from the right ones, as numbers by name; empty if they stand for these.
        reason: why it was not timed, or "".
        samples: seconds of one call, one a round.
    """

    contestant: str
    ours: bool
    error: dict[str, float] = dataclasses.field(default_factory=dict)
    reason: str = ""
    samples: list[float] = dataclasses.field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {**dataclasses.asdict(self), **({"seconds": summary(self.samples)} if self.samples else {})}


@dataclasses.dataclass
class Race:
    """All results of one race.

    Attributes:
        work: which net.
        kind: "training step" or "inference".
        batch: examples in a batch.
        results: by contestant.
    """

    work: str
    kind: str
    batch: int
    results: list[Result]

    @property
    def title(self) -> str:
        """For the head of the table."""
        return f"{self.work}, {self.kind}, batch {self.batch}"

    def best_yardstick(self) -> Result | None:
        """The fastest that is not ours, by median."""
        timed = [r for r in self.results if r.samples and not r.ours]
        return min(timed, key=lambda r: summary(r.samples)["median"], default=None)

    def ratios(self) -> dict[str, float]:
        """Contestant -> how often its time goes into the best yardstick's: above 1 is faster than all of them."""
        best = self.best_yardstick()
        if best is None:
            return {}
        least = summary(best.samples)["median"]
        return {r.contestant: least / summary(r.samples)["median"] for r in self.results if r.samples}

    def as_text(self) -> str:
        """The table."""
        ratios, rows = self.ratios(), []
        for result in self.results:
            error = ", ".join(f"{name} {value:.1e}" for name, value in result.error.items())
            if result.reason:
                rows.append((result.contestant, "", "", "", "", error, result.reason))
                continue
            seconds = summary(result.samples)
            milliseconds = [f"{1e3 * seconds[key]:.3f}" for key in ("median", "min", "max")]
            ratio = f"{ratios[result.contestant]:.2f}" if result.contestant in ratios else ""
            rows.append((result.contestant, *milliseconds, ratio, error, ""))
        head = ("contestant", "ms, median", "min", "max", "best yardstick / it", "error", "remark")
        return f"{self.title}\n{table(head, rows, right=(1, 2, 3, 4))}"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        best = self.best_yardstick()
        return {
            "work": self.work,
            "kind": self.kind,
            "batch": self.batch,
            "best yardstick": best.contestant if best else None,
            "best yardstick / contestant": self.ratios(),
            "results": [result.as_dict() for result in self.results],
        }


def write(path: Path, content: dict[str, object]) -> None:
    """A JSON file."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
