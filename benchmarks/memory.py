"""`python -m benchmarks --memory`: how much memory training LeNet takes, and how long imports do.

Each contestant runs in a process of its own, `python -m benchmarks.memory NAME ...`, which this one starts while it is
small itself: on Linux the peak that `getrusage` tells begins with that of the process that started it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import statistics
import subprocess
import sys
import time

from benchmarks import machine
from benchmarks.contestants import Absent
from benchmarks.lineup import Entry, trainers
from benchmarks.works import WORKS

STEPS = 200
BACKENDS = ("native", "numpy")


def _entries(threads: int, backends: list[str], yardsticks: list[str], compiling: bool) -> list[Entry]:
    # no initial weights are handed out: making them would load Mocha into every process
    return trainers(WORKS["lenet"], backends, yardsticks, threads, compiling=compiling, weights=None)


def report(options: argparse.Namespace) -> int:
    """Print the tables; write the JSON file that is asked for."""
    backends = options.backends.split(",") if options.backends else list(BACKENDS)
    if not set(backends) <= set(BACKENDS):
        sys.exit(f"--backends: {options.backends}; known: {', '.join(BACKENDS)}")
    yardsticks = [name for name in options.yardsticks if name == "torch"]
    found: dict[str, dict[str, object]] = {}
    print(f"Training LeNet, batch {WORKS['lenet'].batch}, {STEPS} steps, a process each:")
    print(f"{'contestant':30}{'peak MiB':>10}{'before':>10}")
    for entry in _entries(options.threads, backends, yardsticks, not options.no_compile):
        found[entry.name] = _alone(entry.name, options)
        if "reason" in found[entry.name]:
            print(f"{entry.name:30}{found[entry.name]['reason']}", flush=True)
        else:
            print(f"{entry.name:30}{found[entry.name]['peak']:10.1f}{found[entry.name]['before']:10.1f}", flush=True)
    print("(peak: the most memory the process ever held; before: the same, once libraries were loaded and data made)\n")
    imports = {name: _import_seconds(name, options.runs) for name in ("numpy", "mocha", *yardsticks)}
    for name, seconds in imports.items():
        told = f"{statistics.median(seconds):.3f} s, {min(seconds):.3f} to {max(seconds):.3f}" if seconds else "absent"
        print(f"import {name:8}{told}")
    if options.json:
        from benchmarks.report import write

        about = machine.describe(options.threads)
        write(options.json, {"machine": about, "memory": found, "imports": imports})
    return 0


def _alone(name: str, options: argparse.Namespace) -> dict[str, object]:
    """What the process of one contestant tells."""
    command = [sys.executable, "-m", "benchmarks.memory", name, str(options.threads)]
    ran = subprocess.run(command, capture_output=True, text=True)
    lines = ran.stdout.splitlines()
    if ran.returncode or not lines:
        return {"reason": f"FAILED: {(ran.stderr.strip().splitlines() or ['no output'])[-1][:200]}"}
    return json.loads(lines[-1])


def _import_seconds(module: str, runs: int) -> list[float]:
    """Seconds of an import in a fresh process, after one that fills the machine's file cache; empty if it is absent."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    seconds = []
    for _ in range(runs + 1):
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if ran.returncode:
            return []
        seconds.append(float(ran.stdout))
    return seconds[1:]


def _peak() -> float:
    """The most memory that this process ever held, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _train(name: str, threads: int) -> dict[str, object]:
    (entry,) = [entry for entry in _entries(threads, list(BACKENDS), ["torch"], True) if entry.name == name]
    _ = WORKS["lenet"].examples
    try:
        importlib.import_module(name.split(".")[0].split()[0])
    except ImportError as error:
        return {"reason": f"absent: {error}"}
    before, start = _peak(), time.perf_counter()
    try:
        trainer = entry.make()
    except Absent as error:
        return {"reason": f"absent: {error}"}
    for _ in range(STEPS):
        trainer.step()
    return {"peak": _peak(), "before": before, "loss": trainer.loss(), "seconds": time.perf_counter() - start}


if __name__ == "__main__":
    machine.limit_threads(int(sys.argv[2]))
    print(json.dumps(_train(sys.argv[1], int(sys.argv[2]))))
