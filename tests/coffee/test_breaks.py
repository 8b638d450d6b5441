"""The breaks: what they log, and what they record."""

import io
import logging
import math
import re

import numpy as np
import pytest
import rich.console

from mocha import (
    SGD,
    AccuracyLayer,
    ConfigError,
    InnerProductLayer,
    LRPolicy,
    MemoryDataLayer,
    MomPolicy,
    Nesterov,
    Net,
    ProgressBar,
    Snapshot,
    SoftmaxLossLayer,
    Solver,
    SquareLossLayer,
    TrainingSummary,
    ValidationPerformance,
    add_coffee_break,
    console,
    make_solver_parameters,
    setup_coffee_lounge,
    solve,
)
from mocha.backends import Backend
from mocha.io import read_snapshot
from mocha.solvers import CoffeeBreak, Lounge, SolverState

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.float32)
IP = InnerProductLayer(name="ip", output_dim=2, bottoms=["data"], tops=["ip"])
LOSS = SoftmaxLossLayer(name="loss", bottoms=["ip", "label"])
EXTRA = SoftmaxLossLayer(name="extra/loss", weight=0.5, bottoms=["ip", "label"])


def data(name="data", n=12, batch=4):
    return MemoryDataLayer(name=name, data=[X[:n], Y[:n]], batch_size=batch)


@pytest.fixture
def backend():
    with Backend("numpy") as backend:
        yield backend


@pytest.fixture
def lines(caplog):
    """What is logged, line by line."""
    caplog.set_level(logging.INFO, "mocha")
    return lambda: [record.getMessage() for record in caplog.records]


def net_of(backend, *layers):
    return Net("train", backend, [data(), *(layers or (IP, LOSS, EXTRA))])


def solver_of(method=None, **params):
    method = method or SGD()
    return Solver(method, make_solver_parameters(method, **{"max_iter": 2, **params}))


# -- the summary


def test_the_line_of_a_summary(backend, lines):
    solver = solver_of(lr_policy=LRPolicy.Fixed(0.1))
    add_coffee_break(solver, TrainingSummary(), every_n_iter=1)
    solve(solver, net_of(backend))
    told = [line for line in lines() if "TRAIN" in line]
    assert len(told) == 3
    for iteration, line in enumerate(told):
        match = re.fullmatch(rf" TRAIN iter=00000{iteration} obj_val=(\d+\.\d{{8}})", line)
        assert match
        assert float(match[1]) == pytest.approx(solver.lounge.get_statistics("obj_val")[iteration], abs=1e-8)
    assert set(solver.lounge.statistics) == {"obj_val"}


@pytest.mark.parametrize("method", [SGD(), Nesterov()], ids=lambda m: m.name)
def test_other_numbers(backend, lines, method):
    solver = solver_of(method, lr_policy=LRPolicy.Exp(0.1, 0.5), mom_policy=MomPolicy.Linear(0.5, 0.1, 1, 0.9))
    names = ["learning_rate", "iter", "momentum", "loss", "extra/loss", "obj_val"]
    add_coffee_break(solver, TrainingSummary(*names), every_n_iter=1)
    solve(solver, net_of(backend))
    first, _, last = [line for line in lines() if "TRAIN" in line]
    assert first.startswith(" TRAIN learning_rate=nan iter=000000 momentum=nan loss=1.")
    momentum = 0.6 if method.name == "SGD" else 0.7
    assert last.startswith(f" TRAIN learning_rate=0.02500000 iter=000002 momentum={momentum:.8f} loss=")
    numbers = {name: solver.lounge.get_statistics(name)[2] for name in solver.lounge.statistics}
    assert set(numbers) == set(names) - {"iter"}
    assert numbers["extra/loss"] == pytest.approx(numbers["loss"] / 2)
    assert numbers["obj_val"] == pytest.approx(numbers["loss"] * 1.5)
    assert math.isnan(solver.lounge.get_statistics("momentum")[0])


def test_examples_per_second(backend, monkeypatch, lines):
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    solver = solver_of(max_iter=6)
    add_coffee_break(solver, TrainingSummary("examples_per_second"), every_n_iter=3)
    net = net_of(backend)
    for _ in range(2):  # a second training does not count from the first
        solve(solver, net)
        rates = solver.lounge.get_statistics("examples_per_second")
        assert math.isnan(rates[0])
        assert (rates[3], rates[6]) == (3 * 4 / 2, 3 * 4 / 2)
    assert " TRAIN examples_per_second=6.0" in lines()


@pytest.mark.parametrize(
    ("name", "told"),
    [("obj-val", "Did you mean 'obj_val'"), ("lerning_rate", "Did you mean 'learning_rate'"), ("los", "'loss'")],
)
def test_an_unknown_number_is_refused_at_once(backend, name, told):
    solver = solver_of(max_iter=1000)
    add_coffee_break(solver, TrainingSummary("iter", name), every_n_iter=500)
    done = []

    class Look(CoffeeBreak):
        def enjoy(self, lounge, net, state):
            done.append(state.iteration)

    add_coffee_break(solver, Look(), every_n_iter=1)
    with pytest.raises(ConfigError, match=f"there is no number '{name}' in the solver's state.*{told}"):
        solve(solver, net_of(backend))
    assert done == []


def test_divergence_is_warned_about_once(backend, lines):
    more = MemoryDataLayer(name="more", data=[X[:, :2]], tops=["data2"], batch_size=4)
    net = Net("train", backend, [data(), more, IP, SquareLossLayer(name="loss", bottoms=["ip", "data2"])])
    solver = solver_of(max_iter=60, lr_policy=LRPolicy.Fixed(100.0))
    add_coffee_break(solver, TrainingSummary(), every_n_iter=1)
    solve(solver, net)
    told = [line for line in lines() if "diverged" in line]
    assert len(told) == 1
    assert re.match(r"The objective is (nan|inf) at iteration \d+: the training has diverged. Use a smaller", told[0])


# -- snapshots


def test_snapshots(backend, tmp_path, lines):
    solver = solver_of(max_iter=5, lr_policy=LRPolicy.Fixed(0.1), mom_policy=MomPolicy.Fixed(0.9))
    directory = tmp_path / "made" / "by itself"
    add_coffee_break(solver, Snapshot(str(directory)), every_n_iter=2)
    net = net_of(backend)
    seen = {}

    class Look(CoffeeBreak):
        def enjoy(self, lounge, net, state):
            seen[state.iteration] = net.params["ip"]["weight"], state.obj_val

    add_coffee_break(solver, Look(), every_n_iter=1)
    solve(solver, net)
    assert sorted(path.name for path in directory.iterdir()) == [f"snapshot-00000{i}.h5" for i in (0, 2, 4)]
    for iteration in (0, 2, 4):
        snapshot = read_snapshot(directory / f"snapshot-00000{iteration}.h5")
        assert (snapshot.iteration, snapshot.method, snapshot.counter) == (iteration, "SGD", iteration)
        assert snapshot.positions == {"data": iteration}
        assert snapshot.scalars["obj_val"] == seen[iteration][1]
        assert set(snapshot.state) == {"velocity/ip___weight", "velocity/ip___bias"}
        np.testing.assert_array_equal(snapshot.parameters["ip___weight"], seen[iteration][0])
    assert any(re.fullmatch(r"Saved .*snapshot-000004\.h5\.", line) for line in lines())
    assert not any("Overwriting" in line for line in lines())
    solve(solver, net)
    assert sum("Overwriting" in line for line in lines()) == 3


def test_a_snapshot_break_must_know_its_solver(backend, tmp_path):
    net = net_of(backend)
    with pytest.raises(ConfigError, match="add it with add_coffee_break"):
        Snapshot(tmp_path).enjoy(Lounge(), net, SolverState())


# -- validation


def test_validation(backend, lines):
    accuracy = AccuracyLayer(name="test-accuracy", report_error=True, bottoms=["ip", "label"])
    square = SquareLossLayer(name="far", bottoms=["ip", "ip2"])
    test_net = Net("test", backend, [data("other", 10, 5), IP, IP.copy(name="ip2", param_key="ip", tops=["ip2"]),
                                     accuracy, square])  # fmt: skip
    solver = solver_of(max_iter=4, lr_policy=LRPolicy.Fixed(0.5))
    validation, heard = ValidationPerformance(test_net), []
    validation.register(lambda lounge, net, state: heard.append((net.name, state.iteration, set(lounge.statistics))))
    add_coffee_break(solver, validation, every_n_iter=2)
    net = net_of(backend)
    solve(solver, net)
    keys = {"test-accuracy-accuracy", "test-accuracy-error", "far-square-loss"}
    assert heard == [("train", i, keys) for i in (0, 2, 4)]
    share = {i: np.float64(v) for i, v in solver.lounge.get_statistics("test-accuracy-accuracy").items()}
    assert list(share) == [0, 2, 4]
    expected = np.mean(np.argmax(X[:10] @ net.params["ip"]["weight"].T + net.params["ip"]["bias"], axis=1) == Y[:10])
    assert share[4] == pytest.approx(expected)
    assert solver.lounge.get_statistics("test-accuracy-error")[4] == pytest.approx(1 - expected)
    told = lines()
    start = told.index("## Performance on Validation Set after 4 iterations")
    assert told[start - 1] == told[start + 3] == ""
    assert told[start + 1 : start + 3] == [
        f"   test-accuracy: accuracy (avg over 10) = {100 * expected:.4f}%",
        "   far: square-loss (avg over 10) = 0.000000",
    ]


def test_each_validation_starts_from_the_beginning(backend):
    seen = []

    class Watched(MemoryDataLayer):
        def open(self, seed):
            source = super().open(seed)
            batch = source.batch
            source.batch = lambda number: seen.append(number) or batch(number)
            return source

    test_net = Net("test", backend, [Watched(name="other", data=[X[:10], Y[:10]], batch_size=4), IP,
                                     AccuracyLayer(bottoms=["ip", "label"])])  # fmt: skip
    solver = solver_of()
    add_coffee_break(solver, ValidationPerformance(test_net), every_n_iter=1)
    solve(solver, net_of(backend))
    assert seen == [0, 1, 2] * 3
    assert "(avg over 12)" in test_net.statistics_text()[0]
    test_net.forward()  # the net is left to its owner


def test_validation_does_not_disturb_the_training(backend):
    def train(validate):
        with Backend("numpy") as own:
            net, solver = net_of(own), solver_of(max_iter=6, mom_policy=MomPolicy.Fixed(0.9))
            if validate:
                test_net = Net("test", own, [data("other", 10, 5), IP, AccuracyLayer(bottoms=["ip", "label"])])
                add_coffee_break(solver, ValidationPerformance(test_net), every_n_iter=1)
            solve(solver, net)
            return net.params["ip"]["weight"]

    np.testing.assert_array_equal(train(True), train(False))


# -- the progress bar


TERMINAL = rich.console.Console


class Terminal(io.StringIO):
    def isatty(self):
        return True


def has_bar(solver):
    return any(isinstance(scheduled.coffee, ProgressBar) for scheduled in solver.breaks)


@pytest.mark.parametrize(
    ("stderr", "asked", "shown"),
    [
        (Terminal(), None, True),
        (Terminal(), False, False),
        (io.StringIO(), None, False),
        (io.StringIO(), True, True),
        (None, None, False),
    ],
)
def test_when_there_is_a_bar(monkeypatch, stderr, asked, shown):
    monkeypatch.setattr("sys.stderr", stderr)
    solver = solver_of()
    setup_coffee_lounge(solver, progress=asked)
    assert has_bar(solver) is shown


@pytest.mark.parametrize("max_iter", [8, math.inf])
def test_the_bar_moves(backend, monkeypatch, max_iter):
    shown = io.StringIO()

    monkeypatch.setattr(rich.console, "Console", lambda **given: TERMINAL(file=shown, force_terminal=True, width=100))
    solver = solver_of(max_iter=max_iter)
    setup_coffee_lounge(solver, progress=True)

    class Stop(CoffeeBreak):
        def enjoy(self, lounge, net, state):
            if state.iteration == 8:
                state.stop("enough")

    add_coffee_break(solver, Stop(), every_n_iter=1)
    solve(solver, net_of(backend))
    assert "train" in shown.getvalue()
    assert ("8/8" if max_iter == 8 else "8/?") in shown.getvalue()
    assert shown.getvalue().count("\x1b[?25h") == 1  # the cursor is shown again
    solve(solver, net_of(backend))  # a bar for each training


def test_the_bar_is_ended_when_training_fails(backend, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(rich.console, "Console", lambda **given: TERMINAL(file=shown, force_terminal=True, width=100))
    solver = solver_of()
    setup_coffee_lounge(solver, progress=True)
    net = Net("train", backend, [MemoryDataLayer(data=[X, Y + 5], batch_size=4), IP, LOSS])
    with pytest.raises(Exception, match="label 0 of the batch"):
        solve(solver, net)
    assert "\x1b[?25h" in shown.getvalue()


def test_on_terminal(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    assert console.on_terminal()
