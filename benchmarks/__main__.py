"""`python -m benchmarks`: Mocha beside other programs, whole training steps and whole inferences."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import machine
from benchmarks.works import WORKS, YARDSTICKS


def _names(known: tuple[str, ...]) -> type:
    """A list of names, separated by commas; "none" is an empty one."""

    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name and name != "none"]
        wrong = [name for name in names if name not in known]
        if wrong:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(wrong)}; known: {', '.join(known)}")
        return names

    return parse


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--work", type=_names(tuple(WORKS)), default=list(WORKS), help="nets, separated by commas; default: all")
    add("--train", action="store_true", help="training steps only")
    add("--inference", action="store_true", help="inference only")
    add("--memory", action="store_true", help="instead: peak memory of training LeNet, and times of imports")
    add("--threads", type=int, default=2, help="of every contestant; default: 2")
    add("--runs", type=int, default=7, help="rounds; default: 7")
    add("--backends", help="of Mocha, separated by commas; default: all that work here")
    add("--yardsticks", type=_names(YARDSTICKS), default=list(YARDSTICKS), help="default: all; none for none")
    add("--no-compile", action="store_true", help="leave torch.compile out")
    add("--json", type=Path, help="where to write all samples")
    options = parser.parse_args()
    if options.threads < 1 or options.runs < 1:
        parser.error("--threads and --runs must be at least 1")
    if options.train and options.inference:
        parser.error("--train and --inference exclude each other; leave both out for both")
    return options


def _backends(asked: str | None) -> list[str]:
    """What was asked for, or all that work here."""
    from mocha.backends import Backend, backend_types
    from mocha.errors import BackendUnavailable

    known = tuple(backend_types())
    if asked is not None:
        return _names(known)(asked)
    works = []
    for name in known:
        try:
            Backend(name).shutdown()
        except BackendUnavailable as error:
            print(f"mocha {name}: absent: {error}")
        else:
            works.append(name)
    return works


def main() -> int:
    """Run the races; 1 if an answer of ours was wrong."""
    options = _arguments()
    machine.limit_threads(options.threads)
    if options.memory:
        from benchmarks import memory

        return memory.report(options)
    from benchmarks import agreement, events, report
    from benchmarks.lineup import exact_answer, predictors, trainers

    try:
        backends = _backends(options.backends)
    except argparse.ArgumentTypeError as error:
        sys.exit(f"--backends: {error}")
    about = machine.describe(options.threads)
    print(machine.as_text(about))
    print(
        f"Largest errors that pass. Training, beside float64: loss {agreement.LOSS:g}, change of a parameter "
        f"{agreement.CHANGE:g}, or {agreement.FACTOR:g} times that of PyTorch, not compiled. Inference, beside the "
        f"first contestant: scores {agreement.SCORES:g}.\n"
    )
    races = []

    def done(race: report.Race) -> None:
        races.append(race)
        print(race.as_text() + "\n", flush=True)
        if options.json:
            report.write(options.json, {"machine": about, "races": [race.as_dict() for race in races]})

    compiling = not options.no_compile
    for name in options.work:
        work = WORKS[name]
        if not options.inference:
            entries = trainers(
                work, backends, options.yardsticks, options.threads, compiling=compiling, weights=work.weights
            )
            exact = exact_answer(work, options.yardsticks, options.threads)
            done(events.training(work, entries, options.runs, exact))
        if not options.train:
            for batch in (1, work.batch):
                entries = predictors(work, batch, backends, options.yardsticks, options.threads, compiling=compiling)
                done(events.inference(work, batch, entries, options.runs))
    wrong = [r for race in races for r in race.results if r.ours and r.reason and not r.reason.startswith("absent")]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
