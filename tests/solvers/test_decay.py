"""LRPolicy.DecayOnValidation end to end: the rate falls, and training goes back to the last good snapshot."""

import logging

import numpy as np
import pytest

from mocha import ConfigError, LRPolicy, MomPolicy, Snapshot, ValidationPerformance, setup
from mocha.backends import Backend
from mocha.io import read_snapshot


class Scripted(ValidationPerformance):
    """A validation whose results were written down before: one after the other, whatever the iteration."""

    def __init__(self, net, scores):
        super().__init__(net)
        self.scores = list(scores)
        self.seen = []

    def enjoy(self, lounge, net, state):
        lounge.update_statistics("score", self.scores[len(self.seen)])
        self.seen.append(state.iteration)
        for listener in self._listeners:
            listener(lounge, net, state)


SCORES = [0.1, 0.5, 0.3, 0.6, 0.7, 0.7, 0.8]
"""Worse at the third validation only."""


def train(kit, directory, order, scores=SCORES, *, max_iter=10, every=2, log=None, policy=None, load_from=None):
    """Validation every two iterations; gives the iterations that were done, with their rates and values."""
    net = kit.deep()
    policy = policy or LRPolicy.DecayOnValidation(0.1, "score")
    solver = kit.solver(max_iter=max_iter, lr_policy=policy, mom_policy=MomPolicy.Fixed(0.9),
                        load_from=directory if load_from is None else load_from)  # fmt: skip
    validation = Scripted(kit.deep(name="validation"), scores)
    breaks = {"snapshot": Snapshot(directory), "validation": validation}
    done = []
    solver.add_coffee_break(kit.do(lambda n, s: done.append((s.iteration, s.scalars["learning_rate"], s.obj_val))),
                            every_n_iter=1)  # fmt: skip
    for name in order:
        solver.add_coffee_break(breaks[name], every_n_iter=every)
    setup(policy, validation, solver)
    state = solver.solve(net)
    return done, policy, validation, kit.values(net), solver, state


@pytest.mark.parametrize("order", [("snapshot", "validation"), ("validation", "snapshot")])
def test_training_goes_back(kit, tmp_path, order, caplog):
    caplog.set_level(logging.INFO, "mocha")
    done, policy, validation, _, solver, state = train(kit, tmp_path, order)
    # worse at 4: back to the snapshot of 2, whose validation was the last good one
    assert [i for i, _, _ in done] == [0, 1, 2, 3, 4, 3, 4, 5, 6, 7, 8, 9, 10]
    assert validation.seen == [0, 2, 4, 4, 6, 8, 10]
    assert [rate for _, rate, _ in done[1:]] == [0.1] * 4 + [0.05] * 8
    assert policy.rate == 0.05
    assert state.iteration == 10
    assert "score got worse: the learning rate is 0.05 now, and training goes back to" in caplog.text
    assert f"{tmp_path / 'snapshot-000002.h5'}." in caplog.text
    # what was recorded on the way that was left is replaced
    assert solver.lounge.get_statistics("score") == {0: 0.1, 2: 0.5, 4: 0.6, 6: 0.7, 8: 0.7, 10: 0.8}


@pytest.mark.parametrize("order", [("snapshot", "validation"), ("validation", "snapshot")])
def test_it_goes_on_as_if_it_had_started_from_the_snapshot_with_the_smaller_rate(kit, tmp_path, order):
    done, _, _, values, _, _ = train(kit, tmp_path / "a", order)
    with Backend("numpy") as other:
        net = kit.deep(backend=other)
        solver = kit.solver(max_iter=10, lr_policy=LRPolicy.Staged((3, LRPolicy.Fixed(0.1)), (1, LRPolicy.Fixed(0.05))),
                            mom_policy=MomPolicy.Fixed(0.9))  # fmt: skip
        again = []
        solver.add_coffee_break(kit.do(lambda n, s: again.append((s.iteration, s.obj_val))), every_n_iter=1)
        solver.solve(net)
        assert again[3:] == [(i, objective) for i, _, objective in done[5:]]
        for name, array in kit.values(net).items():
            np.testing.assert_array_equal(array, values[name])


def test_it_may_go_back_more_than_once(kit, tmp_path):
    scores = [0.1, 0.5, 0.3, 0.4, 0.2, 0.6, 0.6, 0.5, 0.7, 0.8]
    done, policy, validation, *_ = train(kit, tmp_path, ("snapshot", "validation"), scores)
    assert validation.seen == [0, 2, 4, 4, 4, 4, 6, 8, 8, 10]
    assert policy.rate == 0.1 / 2**4
    assert [i for i, _, _ in done][-5:] == [8, 7, 8, 9, 10]


def test_the_snapshot_is_not_younger_than_the_good_validation(kit, tmp_path):
    """Snapshots every three iterations, validations every two: good at 4, so back to 3."""
    policy = LRPolicy.DecayOnValidation(0.1, "score")
    solver = kit.solver(lr_policy=policy, load_from=tmp_path)
    validation = Scripted(kit.net(name="validation"), [1, 2, 3, 1, 4, 5, 6, 7])
    done = []
    solver.add_coffee_break(kit.do(lambda n, s: done.append(s.iteration)), every_n_iter=1)
    solver.add_coffee_break(Snapshot(tmp_path), every_n_iter=3)
    solver.add_coffee_break(validation, every_n_iter=2)
    setup(policy, validation, solver)
    solver.solve(kit.net())
    assert done == [0, 1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9, 10]
    assert validation.seen == [0, 2, 4, 6, 4, 6, 8, 10]


@pytest.mark.parametrize("load_from", ["", "empty"])
def test_without_a_snapshot_only_the_rate_falls(kit, tmp_path, load_from, caplog):
    done, *_ = train(kit, tmp_path / "other", ("snapshot", "validation"), load_from=load_from and tmp_path / load_from)
    assert [i for i, _, _ in done] == list(range(11))
    assert [rate for _, rate, _ in done[1:]] == [0.1] * 4 + [0.05] * 6
    assert "the learning rate is 0.05 now. There is no earlier snapshot to go back to." in caplog.text


def test_the_rate_and_the_good_validation_are_in_the_snapshot(kit, tmp_path):
    train(kit, tmp_path, ("validation", "snapshot"))
    about = read_snapshot(tmp_path / "snapshot-000010.h5").policies["lr_policy"]
    assert about == {"rate": 0.05, "good": 0.8, "good_at": 10}
    kit.backend.registry.reset()
    policy = LRPolicy.DecayOnValidation(0.1, "score")
    done, *_ = train(kit, tmp_path, ("validation", "snapshot"), [0.9, 0.95], max_iter=12, policy=policy)
    assert [(i, rate) for i, rate, _ in done] == [(10, 0.05), (11, 0.05), (12, 0.05)]
    assert policy.good_at == 12


def test_a_listener_is_told_of_a_wrong_key(kit, tmp_path):
    policy = LRPolicy.DecayOnValidation(0.1, "scor")
    with pytest.raises(ConfigError, match="the validation recorded no 'scor'; it recorded score"):
        train(kit, tmp_path, ("validation", "snapshot"), policy=policy)


def test_only_that_policy_can_be_set_up(kit):
    with pytest.raises(ConfigError, match=r"setup: received .*; expected an LRPolicy.DecayOnValidation"):
        setup(LRPolicy.Fixed(0.1), ValidationPerformance(kit.net()), kit.solver())


@pytest.mark.parametrize("order", [("snapshot", "validation"), ("validation", "snapshot")])
def test_a_training_that_is_resumed_after_going_back_goes_the_new_way(kit, tmp_path, order):
    """Interrupted between going back and the next snapshot, it is the training that was not interrupted."""
    _, _, _, expected, _, _ = train(kit, tmp_path / "straight", order)
    # gone back at 4 to 2, and ended at 3, by a break that stops it the second time
    with Backend("numpy") as other:
        net, directory, policy = kit.deep(backend=other), tmp_path / "resumed", LRPolicy.DecayOnValidation(0.1, "score")
        solver = kit.solver(max_iter=10, lr_policy=policy, mom_policy=MomPolicy.Fixed(0.9), load_from=directory)
        validation, threes = Scripted(kit.deep(backend=other, name="validation"), SCORES), []

        def stop(n, state):
            threes.extend([0] if state.iteration == 3 else [])
            if len(threes) == 2:
                state.stop("the test says so")

        breaks = {"snapshot": Snapshot(directory), "validation": validation}
        for name in order:
            solver.add_coffee_break(breaks[name], every_n_iter=2)
        solver.add_coffee_break(kit.do(stop), every_n_iter=1)
        setup(policy, validation, solver)
        assert solver.solve(net).iteration == 3
    names = sorted(path.name for path in directory.iterdir())
    assert names == ["abandoned-000004.h5", "snapshot-000000.h5", "snapshot-000002.h5"]
    policy = LRPolicy.DecayOnValidation(0.1, "score")
    done, *_, values, _, _ = train(kit, directory, order, [0.5, *SCORES[3:]], policy=policy)
    assert done[0][0] == 2
    assert [rate for _, rate, _ in done[1:]] == [0.05] * 8
    for name, array in values.items():
        np.testing.assert_array_equal(array, expected[name])
