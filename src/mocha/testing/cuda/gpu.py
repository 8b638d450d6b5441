"""All that only a GPU can prove, part by part, each in a process of its own; what they print becomes a report.

A part that crashes the GPU's context, or takes too long, does not take the others with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mocha.backends import CudaBackend, Numerics, Precision
from mocha.backends.cuda.driver import Card, chosen_card, start_driver
from mocha.models import find_model
from mocha.testing.cases import FAMILIES
from mocha.testing.cuda.cubins import compile_for
from mocha.testing.cuda.kernels import Tally, check_kernels
from mocha.testing.cuda.training import compare_training, train_on

_LOOSE = {Precision.FLOAT32: None, Precision.TF32: 5e-2, Precision.BFLOAT16: 0.2, Precision.FLOAT16: 5e-2}
"""The largest relative error of a case in a precision: of TF32 and float16 10 bits, of bfloat16 7, and sums of them."""
_PRODUCTS = ("conv", "dense", "compound")
"""Families with products of libraries."""
_NARROW = ("conv", "dense", "pool", "norm", "batch_norm", "batch_norm_unit", "pointwise", "compound", "shape", "random")
"""Families with kernels of 16 bits."""
_SANITIZED = ("pool", "norm", "batch_norm", "batch_norm_unit", "softmax", "loss", "reduce", "shape", "update", "random")
"""Families that run under the sanitizer, which slows them down a hundred times."""


@contextlib.contextmanager
def _one_backend(numerics: Numerics) -> Iterator[Callable[[], contextlib.nullcontext[CudaBackend]]]:
    """A backend that all cases share: starting the libraries takes longer than most of them."""
    with CudaBackend(numerics=numerics) as backend:
        yield lambda: contextlib.nullcontext(backend)


def _said(tally: Tally) -> bool:
    print(tally, *tally.wrong[:20], sep="\n  ")
    return not tally.wrong


def compiling() -> bool:
    """All kernels compiled for this GPU, in several processes; the other parts find them in the cache."""
    card = Card(start_driver(), chosen_card())
    print(f"{compile_for(card.architecture)} files and types for {card.name}, sm_{card.architecture}")
    return True


def agreement() -> bool:
    """The catalogue's cases against the reference, in each precision."""
    ok = True
    for precision, tolerance in _LOOSE.items():
        exact = precision is Precision.FLOAT32
        with _one_backend(Numerics(precision, deterministic=exact)) as make:
            families = {Precision.FLOAT32: tuple(FAMILIES), Precision.TF32: _PRODUCTS}.get(precision, _NARROW)
            print(f"{precision.value}: ", end="", flush=True)
            dtypes = ("float32", "float64") if exact else ("float32",)
            ok = _said(check_kernels(make, families, dtypes, tolerance)) and ok
    return ok


def training() -> bool:
    """Nets trained on the GPU and on the reference; a step captured and not; two trainings, bit for bit."""
    exact = Numerics(Precision.FLOAT32, deterministic=True)
    ok = True
    for net, steps, batch in (("lenet", 200, 64), ("cifar10-quick", 20, 100), ("mlp", 50, 100)):
        report = compare_training(net, steps, batch, lambda: CudaBackend(numerics=exact))
        print(report)
        ok = ok and report.agrees
    for precision in Precision:
        numerics = Numerics(precision, deterministic=True)
        model = find_model("cifar10-quick")
        runs = [train_on(CudaBackend(numerics=numerics, captures=c), model, 12, 32) for c in (True, True, False)]
        same = [
            runs[0].losses == other.losses
            and all(np.array_equal(runs[0].parameters[k], v) for k, v in other.parameters.items())
            for other in runs[1:]
        ]
        print(f"{precision.value}, deterministic: run again {_bits(same[0])}, not captured {_bits(same[1])}")
        ok = ok and all(same)
    return ok


def _bits(same: bool) -> str:
    return "the same bits" if same else "OTHER BITS"


def sanitizer() -> bool:
    """compute-sanitizer over the own kernels."""
    found = shutil.which("compute-sanitizer")
    if found is None:
        print("SKIPPED: compute-sanitizer is not there; it comes with CUDA's toolkit.")
        return True
    ok = True
    for tool in ("memcheck", "racecheck"):
        command = [found, "--tool", tool, "--error-exitcode", "9", "--print-limit", "5"]
        ran = subprocess.run([*command, *_command("sanitized")], capture_output=True, text=True, check=False)
        lines = (ran.stdout + ran.stderr).strip().splitlines()
        print(f"{tool}: exit status {ran.returncode}", *lines[-12:], sep="\n  ")
        ok = ok and ran.returncode == 0
    return ok


def sanitized() -> bool:
    """What runs under the sanitizer: some families, in float32."""
    with _one_backend(Numerics(Precision.FLOAT32, deterministic=True)) as make:
        return _said(check_kernels(make, _SANITIZED, dtypes=("float32",)))


def throughput() -> bool:
    """Training beside PyTorch; see `benchmarks/gpu.py`."""
    if importlib.util.find_spec("benchmarks") is None:
        print("SKIPPED: the folder benchmarks is not at hand; run this from a checkout.")
        return True
    return subprocess.run([sys.executable, "-m", "benchmarks.gpu"], check=False).returncode == 0


PARTS: dict[str, tuple[Callable[[], bool], int]] = {
    "compiling": (compiling, 100),
    "agreement": (agreement, 120),
    "training": (training, 60),
    "sanitizer": (sanitizer, 80),
    "throughput": (throughput, 230),
}
"""Name -> what it does, and the seconds that it may take; together under ten minutes."""


def _command(part: str) -> list[str]:
    return [sys.executable, "-u", "-m", "mocha.testing.cuda", "gpu", "--part", part]


def run_part(part: str) -> bool:
    """Do one of them in this process."""
    return {name: run for name, (run, _) in PARTS.items()}.get(part, sanitized)()


def write_report(path: Path) -> bool:
    """Do all of them and write a report.

    Returns:
        whether all was right.
    """
    pages = ["# The CUDA backend on a GPU", "", f"{time.strftime('%Y-%m-%d')}: {CudaBackend.describe()}", ""]
    ok = True
    for part, (run, seconds) in PARTS.items():
        start = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        try:
            ran = subprocess.run(
                _command(part), capture_output=True, text=True, timeout=seconds, check=False, env=environment
            )
            said, status = ran.stdout + ran.stderr, ran.returncode
        except subprocess.TimeoutExpired as late:
            said, status = f"{_text(late.stdout).rstrip()}\nSTOPPED after {seconds} s", 1
        took = time.perf_counter() - start
        verdict = "all right" if status == 0 else "NOT ALL RIGHT"
        pages += [f"## {part}: {verdict}", "", f"{run.__doc__} ({took:.0f} s)", "", "```", said.strip(), "```", ""]
        print(f"{part}: {verdict}, {took:.0f} s", flush=True)
        ok = ok and status == 0
        path.write_text("\n".join(pages))  # what is known so far, should the next part take the machine with it
    return ok


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
