"""`python -m benchmarks.ops`: each op alone."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import machine

TOLERANCE = 1e-4
"""Largest error of an element: relative to it, or to the root of the mean square of all, if that is larger."""
TURN = 0.05
"""Seconds that a turn takes at least."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ops", description=__doc__)
    add = parser.add_argument
    add("--only", default="", help="cases whose name has this in it")
    add("--backend", default="native", help="of Mocha; default: native")
    add("--threads", type=int, default=2, help="default: 2")
    add("--runs", type=int, default=5, help="rounds; default: 5")
    add("--no-torch", action="store_true", help="leave PyTorch out")
    add("--json", type=Path, help="where to write all samples")
    return parser.parse_args()


def _turn(seconds: Callable[[], float], least: int = 3) -> list[float]:
    """Measure for a while, after once to warm up."""
    seconds()
    found, start = [], time.perf_counter()
    while len(found) < least or time.perf_counter() - start < TURN:
        found.append(seconds())
    return found


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def seconds() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return seconds


def main() -> int:
    """Print the table; 1 if an answer of ours was wrong."""
    options = _arguments()
    machine.limit_threads(options.threads)
    from benchmarks.agreement import scores_error
    from benchmarks.contestants import Absent
    from benchmarks.ops import peak
    from benchmarks.ops.catalogue import cases
    from benchmarks.ours import open_backend
    from benchmarks.report import write
    from mocha.graph.listing import table

    twins = None
    if not options.no_torch:
        try:
            from benchmarks import pytorch
            from benchmarks.ops import pytorch as twins

            pytorch.set_threads(options.threads)
        except ImportError as error:
            print(f"PyTorch: absent: {error}")
    try:
        backend = open_backend(options.backend, options.threads)
    except Absent as error:
        sys.exit(f"mocha {options.backend}: absent: {error}")
    about = machine.describe(options.threads)
    print(machine.as_text(about))
    limits = {"flop": peak.flops(backend), "byte": peak.bandwidth(options.threads)}
    print(f"peak: {limits['flop'][0] / 1e9:.1f} GFLOP/s, {limits['flop'][1]}")
    print(f"peak: {limits['byte'][0] / 1e9:.1f} GB/s, {limits['byte'][1]}")
    print(f"largest error that passes: {TOLERANCE:g}\n")
    results, rows, wrong = [], [], 0
    for case in cases():
        if options.only not in f"{case.name} {case.part}":
            continue
        arrays = case.arrays()
        ours = case.ours(backend, arrays)
        calls = {}
        if twins is not None:
            two = any(array.ndim == 4 for array in arrays.values())
            for order in ("NCHW", "channels_last") if two else ("NCHW",):
                tensors = twins.tensors(arrays, order == "channels_last")
                calls[order] = getattr(twins, case.twin)(tensors, **case.settings)
        error, remark = None, ""
        if calls and case.comparable:
            answer = ours.answer()
            error = max(scores_error(answer, call().detach().numpy()) for call in calls.values())
            remark = "" if error <= TOLERANCE else "NOT TIMED: the answers differ"
            wrong += bool(remark)
        samples: dict[str, list[float]] = {"mocha": [], **{order: [] for order in calls}}
        if not remark:
            for _ in range(options.runs):
                samples["mocha"] += _turn(ours.seconds)
                for order, call in calls.items():
                    samples[order] += _turn(_timed(call))
        amount = ours.work if case.counted == "flop" else ours.traffic
        ours.close()
        results.append(
            {
                "case": case.name, "part": case.part, "counted": case.counted, "amount": amount, "error": error,
                "remark": remark, "samples": samples,
            }
        )  # fmt: skip
        rows.append(_row(case, amount, limits[case.counted][0], samples, error, remark))
    head = (
        "op", "part", "ours ms, min", "median", "torch NCHW, min", "median", "channels_last, min", "median",
        "ours G/s", "of", "% of peak", "torch / ours", "error", "remark",
    )  # fmt: skip
    print(table(head, rows, right=(2, 3, 4, 5, 6, 7, 8, 10, 11, 12)))
    print("\ntorch / ours: the better of PyTorch's two minima by our minimum; above 1, ours is faster.")
    print("% of peak: of the copy's for bytes; what stays in the processor's caches is above it.")
    if options.json:
        write(options.json, {"machine": about, "peak": limits, "results": results})
    return 1 if wrong else 0


def _row(case, amount, limit, samples, error, remark) -> tuple[str, ...]:
    """One line of the table."""
    cells = []
    for who in ("mocha", "NCHW", "channels_last"):
        taken = samples.get(who)
        cells += [f"{1e3 * min(taken):.3f}", f"{1e3 * statistics.median(taken):.3f}"] if taken else ["", ""]
    rate = share = ratio = ""
    if samples["mocha"]:
        best = min(samples["mocha"])
        rate, share = f"{amount / best / 1e9:.1f}", f"{100 * amount / best / limit:.0f}"
        others = [min(taken) for who, taken in samples.items() if who != "mocha" and taken]
        ratio = f"{min(others) / best:.2f}" if others else ""
    told = "" if error is None else f"{error:.0e}"
    return (case.name, case.part, *cells, rate, case.counted, share, ratio, told, remark)


if __name__ == "__main__":
    sys.exit(main())
