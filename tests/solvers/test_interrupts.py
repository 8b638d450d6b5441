"""Ctrl-C while training: the iteration is finished, the state saved, and a second one ends at once."""

import logging
import os
import signal
import threading

import pytest

from mocha import LRPolicy, Snapshot, read_statistics, setup_coffee_lounge
from mocha.io import read_snapshot


def press(*iterations):
    def function(net, state):
        if state.iteration in iterations:
            os.kill(os.getpid(), signal.SIGINT)

    return function


@pytest.fixture
def run(kit, caplog):
    """Trains with Ctrl-C at some iterations; gives the state."""
    caplog.set_level(logging.INFO, "mocha")
    handler = signal.getsignal(signal.SIGINT)

    def train(*iterations, coffee=(), every=1, **params):
        solver = kit.solver(**params)
        for each in coffee:
            solver.add_coffee_break(each, every_n_iter=every)
        solver.add_coffee_break(kit.do(press(*iterations)), every_n_iter=1)
        return solver.solve(kit.net())

    yield train
    assert signal.getsignal(signal.SIGINT) is handler


def names(directory):
    return sorted(path.name for path in directory.glob("*.h5"))


def test_it_ends_after_the_iteration_with_a_snapshot(run, tmp_path, caplog):
    state = run(3, coffee=[Snapshot(tmp_path)], every=2)
    assert (state.iteration, state.stop_reason) == (3, "interrupted by Ctrl-C")
    assert names(tmp_path) == ["snapshot-000000.h5", "snapshot-000002.h5", "snapshot-000003.h5"]
    assert "Interrupted: ending after this iteration. Press Ctrl-C again to stop at once." in caplog.text
    assert "Training ended at iteration 3: interrupted by Ctrl-C." in caplog.text


def test_a_snapshot_of_this_iteration_is_not_written_twice(run, tmp_path, caplog):
    assert run(4, coffee=[Snapshot(tmp_path)], every=2).iteration == 4
    assert caplog.text.count("Saved") == 3
    assert "Overwriting" not in caplog.text


@pytest.mark.parametrize("name", ["snapshots", "run.1"])
@pytest.mark.parametrize("there", [True, False])
def test_without_a_snapshot_break_it_is_saved_where_training_loads_from(run, tmp_path, name, there, caplog):
    directory = tmp_path / name
    if there:
        directory.mkdir()
    run(3, load_from=directory)
    assert names(directory) == ["snapshot-000003.h5"]
    assert f"Saved {directory / 'snapshot-000003.h5'}" in caplog.text
    assert run(load_from=directory).iteration == 10
    assert "going on from iteration 3" in caplog.text


def test_the_snapshot_is_one_to_go_on_from(kit, run, tmp_path):
    straight = kit.net(name="straight")
    kit.solver(lr_policy=LRPolicy.Fixed(0.1)).solve(straight)
    expected = kit.values(straight)
    kit.backend.registry.reset()
    run(3, load_from=str(tmp_path), lr_policy=LRPolicy.Fixed(0.1))
    assert read_snapshot(tmp_path / "snapshot-000003.h5").iteration == 3
    kit.backend.registry.reset()
    net = kit.net()
    kit.solver(lr_policy=LRPolicy.Fixed(0.1), load_from=tmp_path).solve(net)
    for name, array in kit.values(net).items():
        assert (array == expected[name]).all()


@pytest.mark.parametrize("load_from", ["", "model.h5"])
def test_with_nowhere_to_save_it_warns(run, tmp_path, monkeypatch, load_from, caplog):
    monkeypatch.chdir(tmp_path)
    assert run(3, load_from=load_from).iteration == 3
    assert "Nothing was saved: there is no Snapshot break, and load_from names no directory." in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_before_the_first_iteration(run):
    assert run(0).iteration == 1


def test_at_the_last_iteration(run, tmp_path):
    run(10, load_from=tmp_path)
    assert names(tmp_path) == ["snapshot-000010.h5"]


def test_a_second_one_raises_and_the_statistics_are_saved(kit, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    solver = kit.recorded(kit.solver())
    setup_coffee_lounge(solver, save_into=tmp_path / "statistics.h5", every_n_iter=1000, progress=False)

    def twice(net, state):
        if state.iteration == 4:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    solver.add_coffee_break(kit.do(twice), every_n_iter=1)
    with pytest.raises(KeyboardInterrupt):
        solver.solve(kit.net())
    assert list(read_statistics(tmp_path / "statistics.h5")["obj_val"]) == [0, 1, 2, 3, 4]
    assert signal.getsignal(signal.SIGINT) is handler


def test_in_another_thread_signals_are_left_alone(kit):
    handler, seen = signal.getsignal(signal.SIGINT), []

    def train():
        solver = kit.solver(max_iter=3)
        solver.add_coffee_break(kit.do(lambda n, s: seen.append(signal.getsignal(signal.SIGINT))), every_n_iter=1)
        seen.append(solver.solve(kit.net()).iteration)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [handler] * 4 + [3]
