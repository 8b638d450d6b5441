"""The races: make the contestants, compare their answers, time those that agree."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np

from benchmarks import agreement
from benchmarks.contestants import Absent, Answer, Entry, Predictor, Trainer
from benchmarks.race import race
from benchmarks.report import Race, Result
from benchmarks.works import Work

Judge = Callable[[Trainer | Predictor, Result], None]
"""Notes the errors of a contestant's answers, and why it is not timed if they are too large."""


def training(work: Work, entries: list[Entry], rounds: int, exact: Answer | None) -> Race:
    """One training step.

    Args:
        work: which net.
        entries: the contestants.
        rounds: see `race`.
        exact: the right answer; None takes the first contestant's for it.
    """
    expected = [] if exact is None else [exact]
    limits = [agreement.CHANGE]
    plain = {entry.name for entry in entries if entry.plain}

    def judge(contestant: Trainer, result: Result) -> None:
        answer = contestant.answer()
        if not expected:
            expected.append(answer)
            return
        change, where = agreement.change_error(answer, expected[0], work.weights)
        result.error = {"loss": agreement.loss_error(answer, expected[0]), "change": change}
        if result.contestant in plain:
            limits.append(agreement.FACTOR * change)
        if result.error["loss"] > agreement.LOSS or change > max(limits):
            result.reason = f"NOT TIMED: its answers differ, most in {where}"

    made, results = _prepare(entries, judge)
    samples = race({name: trainer.step for name, trainer in made.items()}, rounds)
    for result in results:
        if result.contestant in made:
            loss = made[result.contestant].loss()
            result.samples = samples[result.contestant]
            if not math.isfinite(loss):
                result.samples, result.reason = [], f"NOT COUNTED: its training ended with the loss {loss}"
    _close(made)
    return Race(work.name, "training step", work.batch, results)


def inference(work: Work, batch: int, entries: list[Entry], rounds: int) -> Race:
    """One batch."""
    expected: list[np.ndarray] = []

    def judge(contestant: Predictor, result: Result) -> None:
        scores = contestant.scores()
        if not expected:
            expected.append(scores)
        else:
            result.error = {"scores": agreement.scores_error(scores, expected[0])}
            if result.error["scores"] > agreement.SCORES:
                result.reason = "NOT TIMED: its answers differ"

    made, results = _prepare(entries, judge)
    samples = race({name: predictor.predict for name, predictor in made.items()}, rounds)
    for result in results:
        result.samples = samples.get(result.contestant, [])
    _close(made)
    return Race(work.name, "inference", batch, results)


def _prepare(entries: list[Entry], judge: Judge) -> tuple[dict[str, Trainer | Predictor], list[Result]]:
    """Make all, drop those that are absent or wrong."""
    if "torch" in sys.modules:
        from benchmarks import pytorch

        pytorch.forget_compiled()
    made, results = {}, []
    for entry in entries:
        result = Result(entry.name, entry.ours)
        results.append(result)
        contestant = None
        try:
            contestant = entry.make()
            judge(contestant, result)
        except Absent as error:
            result.reason = f"absent: {error}"
        except Exception as error:  # one that fails must not end the others' races
            result.reason = f"FAILED: {type(error).__name__}: {str(error).strip()[:200]}"
        if result.reason:
            if contestant is not None:
                contestant.close()
        else:
            made[entry.name] = contestant
    return made, results


def _close(made: dict[str, Trainer | Predictor]) -> None:
    for contestant in made.values():
        contestant.close()
