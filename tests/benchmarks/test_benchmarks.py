"""The scripts that measure: what they would let pass, and that they run without the programs to compare with."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.contestants import Absent, Answer, Entry, Predictor, Trainer
from benchmarks.race import race, summary
from benchmarks.report import Race, Result
from benchmarks.works import WORKS

from benchmarks import agreement, events

ROOT = Path(__file__).parents[2]


def run(*words):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300
    )


class Scorer(Predictor):
    def __init__(self, scores):
        self.array = np.array(scores, np.float32)

    def predict(self):
        return self.array


def absent():
    raise Absent("it is on holiday")


def broken():
    raise ZeroDivisionError("no")


def test_only_right_answers_are_timed():
    entries = [
        Entry("right", False, lambda: Scorer([1.0, 2.0])),
        Entry("as right", True, lambda: Scorer([1.0, 2.0 + 1e-5])),
        Entry("wrong", True, lambda: Scorer([1.0, 2.001])),
        Entry("another shape", False, lambda: Scorer([1.0])),
        Entry("not a number", False, lambda: Scorer([1.0, math.nan])),
        Entry("absent", False, absent),
        Entry("broken", False, broken),
    ]
    found = {r.contestant: r for r in events.inference(WORKS["mlp"], 1, entries, 2).results}
    assert [name for name, result in found.items() if result.samples] == ["right", "as right"]
    assert len(found["right"].samples) == 2
    assert found["wrong"].reason == found["another shape"].reason == "NOT TIMED: its answers differ"
    assert found["absent"].reason == "absent: it is on holiday"
    assert found["broken"].reason == "FAILED: ZeroDivisionError: no"


class Counter(Trainer):
    """Pretends to train."""

    def __init__(self, answer, loss=1.0):
        self._answer, self._loss = answer, loss

    def answer(self):
        return self._answer

    def step(self):
        pass

    def loss(self):
        return self._loss


def test_training_that_ends_in_no_number_does_not_count():
    start = WORKS["mlp"].weights
    right = Answer((2.0, 1.9), {key: values + np.float32(0.01) for key, values in start.items()})
    moved = {key: values + np.float32(0.0101) for key, values in start.items()}
    entries = [
        Entry("right", False, lambda: Counter(right)),
        Entry("diverges", False, lambda: Counter(right, math.nan)),
        Entry("other loss", True, lambda: Counter(Answer((2.0, 1.91), right.weights))),
        Entry("other step", True, lambda: Counter(Answer((2.0, 1.9), moved))),
    ]
    found = {r.contestant: r for r in events.training(WORKS["mlp"], entries, 1, None).results}
    assert [name for name, result in found.items() if result.samples] == ["right"]
    assert found["diverges"].reason == "NOT COUNTED: its training ended with the loss nan"
    assert found["other loss"].error["loss"] == pytest.approx(0.01 / 1.9)
    assert found["other step"].error["change"] == pytest.approx(0.01, rel=0.01)


def test_plain_yardsticks_show_what_float32_can_do():
    start = WORKS["mlp"].weights

    def off_by(share):
        weights = {key: values + np.float32(0.01 * (1 + share)) for key, values in start.items()}
        return lambda: Counter(Answer((2.0, 1.9), weights))

    exact = off_by(0.0)().answer()
    entries = [
        Entry("plain", False, off_by(0.01), plain=True),
        Entry("ours", True, off_by(0.03)),
        Entry("compiled", False, off_by(0.05)),
        Entry("worse", False, off_by(0.02), plain=True),
        Entry("ours too", True, off_by(0.05)),
        Entry("too far", True, off_by(0.1)),
    ]
    found = {r.contestant: r.reason for r in events.training(WORKS["mlp"], entries, 1, exact).results}
    assert [name for name, reason in found.items() if reason] == ["compiled", "too far"]


def test_weights_of_what_is_normalised():
    weights = WORKS["resnet50"].weights
    for key, values in weights.items():
        if key.endswith("/variance"):
            assert values.min() > 0.1
        if key.endswith("/scale"):
            assert abs(values.mean() - (0 if "_3_scale" in key else 1)) < 0.1


def test_rounding_of_a_parameter_is_no_error():
    start = {"a/weight": np.full(4, 1e3, np.float32)}
    expected = Answer((1.0, 1.0), {"a/weight": start["a/weight"].astype(np.float64) + 1e-4})
    assert agreement.change_error(Answer((1.0, 1.0), dict(start)), expected, start) == (0.0, "a/weight")


def test_a_race_goes_in_turns():
    calls = []
    samples = race({name: lambda name=name: calls.append(name) for name in "ab"}, 3, turn=1e-5)
    assert {name: len(taken) for name, taken in samples.items()} == {"a": 3, "b": 3}
    turns = [name for i, name in enumerate(calls) if i == 0 or calls[i - 1] != name]
    assert turns == ["a", "b", "a", "b", "a", "b"] or turns == ["a", "b", "a", "b", "a"]


def test_summary():
    assert summary([3.0, 1.0, 2.0])["median"] == 2.0
    assert summary([5.0]) == dict.fromkeys(("median", "min", "lower quartile", "upper quartile", "max"), 5.0)


def test_ratio_to_the_best_yardstick():
    results = [Result("slow", False, samples=[4.0]), Result("fast", False, samples=[3.0]), Result("it", True)]
    results[2].samples = [2.0]
    assert Race("w", "inference", 1, results).ratios() == {"slow": 0.75, "fast": 1.0, "it": 1.5}


def test_it_runs_on_mocha_alone(tmp_path):
    path = tmp_path / "results.json"
    ran = run("benchmarks", "--work", "mlp", "--backends", "numpy", "--yardsticks", "none", "--runs", "2",
              "--threads", "1", "--json", str(path))  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(path.read_text())
    assert found["machine"]["threads"] == 1
    assert {"cpu", "cores", "avx2", "avx512", "versions", "date", "command"} <= found["machine"].keys()
    kinds = [(race["kind"], race["batch"]) for race in found["races"]]
    assert kinds == [("training step", 100), ("inference", 1), ("inference", 100)]
    assert all(len(result["samples"]) == 2 for race in found["races"] for result in race["results"])


def test_memory_of_mocha_alone():
    ran = run("benchmarks.memory", "mocha numpy", "1")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["peak"] >= told["before"] > 1


def test_ops_without_pytorch():
    words = ["benchmarks.ops", "--no-torch", "--backend", "numpy", "--runs", "1", "--threads", "1", "--only"]
    ran = run(*words, "softmax loss 64x10")
    assert ran.returncode == 0, ran.stderr
    assert "softmax loss 64x10" in ran.stdout


@pytest.mark.parametrize(
    "words", [["--work", "lenett"], ["--backends", "abacus"], ["--runs", "0"], ["--train", "--inference"]]
)
def test_wrong_words(words):
    ran = run("benchmarks", *words)
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr
