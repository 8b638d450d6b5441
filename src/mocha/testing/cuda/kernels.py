"""Every own kernel against the reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from mocha.backends import CudaBackend
from mocha.testing.agreement import check_agreement
from mocha.testing.cases import FAMILIES


@dataclasses.dataclass
class Tally:
    """What a check found.

    Attributes:
        runs: how many cases were run, one for each way of running it.
        worst: type -> the largest error, relative; see `check_agreement`.
        wrong: what was wrong, a line each.
    """

    runs: int = 0
    worst: dict[str, float] = dataclasses.field(default_factory=dict)
    wrong: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        errors = ", ".join(f"{dtype} {worst:.1e}" for dtype, worst in self.worst.items())
        return f"{self.runs} runs, {len(self.wrong)} wrong, worst error: {errors or 'none'}"


def check_kernels(
    make: Callable[[], AbstractContextManager[CudaBackend]],
    families: Iterable[str] = FAMILIES,
    dtypes: Iterable[str] = ("float32", "float64"),
    tolerance: float | None = None,
) -> Tally:
    """Run the catalogue's cases, with memory kept and with memory reused.

    Args:
        make: makes the backend of each run; one that all runs share comes in a `contextlib.nullcontext`.
        families: of ops.
        dtypes: float32, float64.
        tolerance: of float32; that of exact sums, unless told.
    """
    tally = Tally()
    for family in families:
        for case in FAMILIES[family]:
            for dtype in dtypes:
                for reuse in (False, True):
                    tally.runs += 1
                    limit = tolerance if dtype == "float32" else None
                    try:
                        with make() as backend:
                            error = check_agreement(case, backend, dtype, reuse=reuse, tolerance=limit)
                        tally.worst[dtype] = max(error, tally.worst.get(dtype, 0.0))
                    except Exception as error:
                        tally.wrong.append(f"{case.id}, {dtype}, reuse {reuse}: {type(error).__name__}: {error}")
    return tally
