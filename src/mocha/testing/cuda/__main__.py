"""See the package; `python -m mocha.testing.cuda --help`."""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections import Counter
from pathlib import Path

from mocha.backends import CudaBackend, Numerics, Precision
from mocha.backends.cuda.emulated import EmulatedDevice
from mocha.errors import MochaError
from mocha.testing.cuda.cubins import compile_all
from mocha.testing.cuda.gpu import PARTS, run_part, write_report
from mocha.testing.cuda.kernels import check_kernels
from mocha.testing.cuda.plans import build_plans, described_gpu
from mocha.testing.cuda.training import compare_training


def kernels(chosen: argparse.Namespace) -> bool:
    """Check every own kernel on the emulated device, its threads forwards and backwards."""
    ok = True
    exact = Numerics(Precision.FLOAT32, deterministic=True)

    def backend(backwards: bool) -> CudaBackend:
        return CudaBackend(EmulatedDevice(backwards=backwards), numerics=exact)

    for backwards in (False, True):
        tally = check_kernels(functools.partial(backend, backwards))
        print(f"threads {'backwards' if backwards else 'forwards'}: {tally}", *tally.wrong, sep="\n  ")
        ok = ok and not tally.wrong
    return ok


def train(chosen: argparse.Namespace) -> bool:
    """Train a net on the emulated device and on the numpy backend."""
    report = compare_training(chosen.net, chosen.steps, chosen.batch)
    print(report)
    return report.agrees


def cubins(chosen: argparse.Namespace) -> bool:
    """Compile every own kernel for GPUs."""
    total: Counter[int] = Counter()
    for made in compile_all():
        total[made.architecture] += made.kernels
        print(f"{made.family:20} sm_{made.architecture}  {made.kernels:4} kernels  {made.nbytes / 1024:8.0f} KiB")
    print("; ".join(f"sm_{architecture}: {count} kernels" for architecture, count in total.items()))
    return True


def plans(chosen: argparse.Namespace) -> bool:
    """Build the plans of well-known nets without a GPU."""
    target = described_gpu()
    print(f"for {target.name}, without one; workspace: the most that one plan takes")
    print("net           precision   plans in parts  own   workspace  matrices  seconds")
    for precision in Precision:
        start = time.perf_counter()
        for built in build_plans(target, Numerics(precision)):
            took, start = time.perf_counter() - start, time.perf_counter()
            print(
                f"{built.net:14}{precision.value:11}{built.plans:6}{built.apart:9}{built.own:5}"
                f"{built.workspace / 2**20:8.1f} MiB{built.matrices:10}{took:9.1f}"
            )
    return True


def gpu(chosen: argparse.Namespace) -> bool:
    """On a machine with a GPU, under ten minutes: agreement, training, sanitizer, throughput; writes a report."""
    if chosen.part:
        return run_part(chosen.part)
    ok = write_report(chosen.report)
    print(f"{chosen.report}: {'all right' if ok else 'NOT ALL RIGHT'}")
    return ok


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def main() -> None:
    """Run one of the commands; the exit status says whether all was right."""
    parser = argparse.ArgumentParser(prog="python -m mocha.testing.cuda", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for run in (kernels, train, cubins, plans, gpu):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.set_defaults(run=run)
        if run is train:
            command.add_argument("--net", default="lenet", help="a model; lenet")
            command.add_argument("--steps", type=_positive, default=200, help="steps; 200")
            command.add_argument("--batch", type=_positive, default=64, help="examples of a step; 64")
        if run is gpu:
            command.add_argument("--report", type=Path, default=Path("gpu-report.md"), help="gpu-report.md")
            command.add_argument("--part", choices=[*PARTS, "sanitized"], help="one part, here; prints, writes nothing")
    chosen = parser.parse_args()
    try:
        ok = chosen.run(chosen)
    except MochaError as error:
        sys.exit(f"error: {error}")
    sys.exit(not ok)


if __name__ == "__main__":
    main()
