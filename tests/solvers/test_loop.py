"""The loop: what the breaks see, when it ends, and how often it can be done."""

import itertools
import logging
import math

import numpy as np
import pytest

from mocha import (
    SGD,
    CoffeeBreak,
    ConfigError,
    DropoutLayer,
    EarlyStopping,
    FormatError,
    InnerProductLayer,
    LRPolicy,
    MochaError,
    MomPolicy,
    Nesterov,
    Net,
    RandomNormalLayer,
    SoftmaxLossLayer,
    SquareLossLayer,
    TopologyError,
    TrainingSummary,
    add_coffee_break,
    finalize_solve,
    init_solve,
    onestep_solve,
    solve,
)
from mocha.backends import Backend
from mocha.coffee import Snapshot
from mocha.io import read_snapshot
from mocha.solvers import resume

FAST = {"lr_policy": LRPolicy.Fixed(0.1), "mom_policy": MomPolicy.Fixed(0.9)}


def same(a, b):
    return list(a) == list(b) and all(np.array_equal(a[key], b[key]) for key in a)


def test_the_objective_of_a_break_is_that_of_the_next_batch_with_the_new_parameters(kit):
    seen = {}

    def look(net, state):
        seen[state.iteration] = state.obj_val, kit.values(net), dict(state.losses)

    solver = kit.solver(max_iter=5, **FAST)
    solver.add_coffee_break(kit.do(look), every_n_iter=1)
    solver.solve(kit.deep())
    assert list(seen) == [0, 1, 2, 3, 4, 5]
    with Backend("numpy") as other:
        fresh = kit.deep(backend=other)
        for iteration, (objective, values, losses) in seen.items():
            for name, array in values.items():
                layer, _, param = name.partition("/")
                fresh.params[layer][param] = array
            rows = np.arange(4 * iteration, 4 * iteration + 4) % 12
            again = fresh.forward(feeds={"data": kit.x[rows], "label": kit.t[rows]})
            assert again == objective == losses["loss"]


def test_training_helps(kit):
    solver = kit.recorded(kit.solver(max_iter=200, lr_policy=LRPolicy.Fixed(0.1)))
    solver.solve(kit.net())
    history = solver.lounge.get_statistics("obj_val")
    assert list(history) == list(range(201))
    assert history[200] < 0.05 * history[0]


def test_the_state_at_the_end(kit):
    solver = kit.solver(max_iter=3, lr_policy=LRPolicy.Exp(0.1, 0.5), mom_policy=MomPolicy.Linear(0.1, 0.1, 1, 0.9))
    net = kit.net()
    state = solver.solve(net)
    assert (state.iteration, state.stop_reason) == (3, "")
    assert state.scalars == {"learning_rate": 0.1 * 0.5**3, "momentum": pytest.approx(0.3)}
    assert state.value("iter") == 3
    net.close()
    assert state.obj_val == state.value("obj_val") == state.value("loss")
    with pytest.raises(ConfigError, match=r"there is no number 'los' in the solver's state. Did you mean 'loss'"):
        state.value("los")


def test_rates_are_not_known_before_the_first_update(kit):
    solver = kit.solver(Nesterov(), max_iter=0)
    state = solver.solve(kit.net())
    assert state.iteration == 0
    assert set(state.scalars) == {"learning_rate", "momentum", "last_momentum"}
    assert all(map(math.isnan, state.scalars.values()))
    assert math.isfinite(state.obj_val)


def test_only_what_a_break_asks_for_is_kept(kit):
    seen = []

    def look(net, state):
        seen.append((net.blobs["hidden"], net.gradients["hidden"] if state.iteration else None))
        assert list(net.blobs) == ["hidden"]
        with pytest.raises(MochaError, match="only what a coffee break asks for with its `blobs`"):
            net.blobs["ip"]

    solver = kit.solver(max_iter=2, **FAST)
    solver.add_coffee_break(kit.do(look, blobs=["hidden"]), every_n_iter=1)
    net = kit.deep()
    solver.solve(net)
    assert [blob.shape for blob, _ in seen] == [(4, 5)] * 3
    assert np.any(seen[1][1])
    np.testing.assert_array_equal(net.blobs["hidden"], seen[-1][0])  # after the solver too


def test_training_is_not_disturbed_by_kept_blobs(kit):
    def train(blobs):
        with Backend("numpy") as backend:
            net = kit.deep(backend=backend)
            solver = kit.solver(**FAST)
            solver.add_coffee_break(kit.do(lambda n, s: None, blobs=blobs), every_n_iter=1)
            solver.solve(net)
            return kit.values(net)

    assert same(train([]), train(["data", "hidden", "ip", "label"]))


def test_a_loop_by_hand_is_solve(kit):
    def train(loop):
        with Backend("numpy") as backend:
            net, solver = kit.deep(backend=backend), kit.solver(max_iter=6, **FAST)
            state = loop(solver, net)
            return kit.values(net), state.iteration, state.obj_val

    def by_hand(solver, net):
        state = init_solve(solver, net)
        for _ in range(6):
            onestep_solve(solver, net, state)
        finalize_solve(solver, net, state)
        return state

    mine, expected = train(by_hand), train(solve)
    assert same(mine[0], expected[0])
    assert mine[1:] == expected[1:]


def noisy(kit, backend, seed):
    layers = [kit.ip("hidden", output_dim=5), DropoutLayer(name="drop", bottoms=["hidden"]), kit.ip(bottoms=["hidden"])]
    return kit.net(*layers, SquareLossLayer(name="loss", bottoms=["ip", "label"]), backend=backend, seed=seed,
                   shuffle=True)  # fmt: skip


def test_runs_repeat_bit_for_bit_and_differ_with_the_seed(kit, monkeypatch):
    def train(seed, environment=None):
        with Backend("numpy") as backend:
            if environment is not None:
                monkeypatch.setenv("MOCHA_SEED", environment)
            net = noisy(kit, backend, seed)
            solver = kit.recorded(
                kit.solver(max_iter=20, lr_policy=LRPolicy.Fixed(0.02), mom_policy=MomPolicy.Fixed(0.5))
            )
            solver.solve(net)
            return {**kit.values(net), "history": np.array(list(solver.lounge.get_statistics("obj_val").values()))}

    first = train(5)
    assert same(train(5), first)
    assert not same(train(6), first)
    assert same(train(None, "5"), first)
    assert not same(train(None, "6"), first)


@pytest.mark.parametrize("method", [SGD(), Nesterov()], ids=lambda m: m.name)
def test_solving_twice_with_one_solver(kit, method):
    """The second time goes on with the parameters and the data, but its velocity and its iterations start at 0."""
    net, solver = kit.deep(), kit.recorded(kit.solver(method, max_iter=5, **FAST))
    solver.solve(net)
    middle = kit.values(net)
    assert solver.solve(net).iteration == 5
    twice = kit.values(net)
    assert not same(middle, twice)
    with Backend("numpy") as other:
        again = kit.deep(backend=other)
        for name, array in middle.items():
            layer, _, param = name.partition("/")
            again.params[layer][param] = array
        again.feeds["data"].seek(net.feeds["data"].position - 6)
        kit.solver(method, max_iter=5, **FAST).solve(again)
        assert same(kit.values(again), twice)


def test_one_solver_for_two_nets(kit):
    solver = kit.recorded(kit.solver(max_iter=4, **FAST))
    first, second = kit.net(), kit.net(kit.ip("other"), SquareLossLayer(name="loss", bottoms=["other", "label"]))
    solver.solve(first), solver.solve(second)
    assert np.any(kit.values(second)["other/weight"])


def test_nothing_of_a_solver_is_left_in_the_store(kit):
    net, solver = kit.deep(), kit.solver(**FAST)
    during = []
    solver.add_coffee_break(kit.do(lambda n, s: during.append(set(kit.backend.store.arrays))), every_n_iter=5)
    before = set(kit.backend.store.arrays)
    solver.solve(net)
    assert during[0] - before == {f"{solver.prefix}velocity/{key}" for key in before}
    assert set(kit.backend.store.arrays) == before


def test_two_solvers_take_turns_on_one_backend(kit):
    def layers(name):
        return kit.ip(name), SquareLossLayer(name="loss", bottoms=[name, "label"])

    expected = []
    for name in ("a", "b"):
        net = kit.net(*layers(name))
        kit.solver(max_iter=6, **FAST).solve(net)
        expected.append(kit.values(net))
    kit.backend.registry.reset()
    pairs = [(kit.net(*layers(name)), kit.solver(max_iter=6, **FAST)) for name in ("a", "b")]
    states = [solver.init_solve(net) for net, solver in pairs]
    for _ in range(6):
        for (net, solver), state in zip(pairs, states, strict=True):
            solver.step(net, state)
    for (net, solver), state, values in zip(pairs, states, expected, strict=True):
        solver.finalize_solve(net, state)
        assert same(kit.values(net), values)


def test_two_solvers_on_the_same_parameters(kit):
    nets = [kit.net(name=name) for name in "ab"]
    solvers = [kit.solver(max_iter=2, **FAST) for _ in nets]
    states = [solver.init_solve(net) for solver, net in zip(solvers, nets, strict=True)]
    for solver, net, state in zip(solvers, nets, states, strict=True):
        before = kit.values(net)
        solver.step(net, state)
        assert not same(kit.values(net), before)
    assert same(kit.values(nets[0]), kit.values(nets[1]))


# -- freezing


def test_a_frozen_layer_stays_as_it_is(kit):
    net = kit.deep()
    net.freeze("hidden")
    before = kit.values(net)
    kit.solver(**FAST).solve(net)
    after = kit.values(net)
    for name, array in before.items():
        assert np.array_equal(after[name], array) is name.startswith("hidden")


def test_freezing_under_way_is_effective_at_once(kit):
    net, solver, seen = kit.deep(), kit.solver(max_iter=9, **FAST), []

    def change(net, state):
        seen.append(net.params["hidden"]["weight"])
        {3: net.freeze, 6: net.unfreeze}.get(state.iteration, lambda *_: None)("hidden")

    solver.add_coffee_break(kit.do(change), every_n_iter=1)
    solver.solve(net)
    moved = [not np.array_equal(a, b) for a, b in itertools.pairwise(seen)]
    assert moved == [True] * 3 + [False] * 3 + [True] * 3


def test_freezing_and_unfreezing_at_once_changes_nothing(kit):
    def train(function):
        with Backend("numpy") as backend:
            net, solver = noisy(kit, backend, 1), kit.recorded(kit.solver(**FAST))
            solver.add_coffee_break(kit.do(function), every_n_iter=4)
            solver.solve(net)
            history = np.array(list(solver.lounge.get_statistics("obj_val").values()))
            return {**kit.values(net), "history": history}

    def both(net, state):
        net.freeze("hidden"), net.unfreeze("hidden")

    assert same(train(both), train(lambda net, state: None))


def test_everything_frozen(kit):
    net = kit.deep()
    net.freeze_all()
    before = kit.values(net)
    kit.solver(clip_gradients=1.0, **FAST).solve(net)
    assert same(kit.values(net), before)


# -- what cannot be trained


def test_no_loss(kit):
    net = kit.net(kit.ip())
    with pytest.raises(TopologyError, match="net 'train' has no loss layer"):
        kit.solver().solve(net)


def test_a_parameter_that_no_loss_depends_on(kit):
    net = kit.net(kit.ip(), kit.ip("idle"), SquareLossLayer(name="loss", bottoms=["ip", "label"]))
    with pytest.raises(TopologyError, match=r"net 'train': no loss depends.* on idle___weight, idle___bias. Connect"):
        kit.solver().solve(net)
    net.freeze("idle")
    assert kit.solver(max_iter=2).solve(net).iteration == 2


def test_a_bad_label_under_way(kit):
    """The error comes out, and what was begun is ended."""
    ends = []

    class End(CoffeeBreak):
        def destroy(self, net):
            ends.append("end")

    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 5.0, 0, 1])
    layers = kit.ip(), SoftmaxLossLayer(name="loss", bottoms=["ip", "label"])
    net, solver = kit.net(*layers, data=[kit.x, labels]), kit.solver()
    add_coffee_break(solver, End(), every_n_iter=1)
    before = set(kit.backend.store.arrays)
    with pytest.raises(FormatError, match=r"layer 'loss': label 1 of the batch is 5\.0"):
        solver.solve(net)
    assert ends == ["end"]
    assert set(kit.backend.store.arrays) == before
    net = kit.net(*layers, data=[kit.x[8:], labels[8:]])  # in the very first batch
    with pytest.raises(FormatError, match="label 1 of the batch"):
        solver.solve(net)
    assert ends == ["end", "end"]
    assert set(kit.backend.store.arrays) == before


def test_all_breaks_are_ended_also_when_one_fails(kit):
    ends = []

    class End(CoffeeBreak):
        def __init__(self, name):
            self.name = name

        def destroy(self, net):
            ends.append(self.name)
            if self.name == "b":
                raise RuntimeError("on purpose")

    solver = kit.solver(max_iter=1)
    for name in "abc":
        solver.add_coffee_break(End(name), every_n_iter=1)
    with pytest.raises(RuntimeError, match="on purpose"):
        solver.solve(kit.net())
    assert ends == ["a", "b", "c"]


# -- when it ends


def test_a_break_stops_the_training(kit, caplog):
    solver = kit.solver(max_iter=100)
    after = []
    solver.add_coffee_break(kit.do(lambda n, s: s.stop("enough") if s.iteration == 7 else None), every_n_iter=1)
    solver.add_coffee_break(kit.do(lambda n, s: after.append(s.iteration)), every_n_iter=1)
    with caplog.at_level(logging.INFO, "mocha"):
        state = solver.solve(kit.net())
    assert (state.iteration, state.stop_reason) == (7, "enough")
    assert after[-1] == 7  # the other breaks of this iteration are had
    assert "Training ended at iteration 7: enough." in caplog.text


def test_a_break_stops_before_the_first_iteration(kit):
    solver = kit.solver(max_iter=100)
    solver.add_coffee_break(kit.do(lambda n, s: s.stop("")), every_n_iter=1)
    state = solver.solve(kit.net())
    assert (state.iteration, state.stop_reason) == (0, "a coffee break asked for it")


class Scores(CoffeeBreak):
    """Records a number that depends on the iteration alone."""

    def __init__(self, numbers):
        self.numbers = numbers

    def enjoy(self, lounge, net, state):
        lounge.update_statistics("score", self.numbers[state.iteration])


class Script(CoffeeBreak):
    """Records numbers that were written down before."""

    def __init__(self, *numbers):
        self.numbers = numbers

    def enjoy(self, lounge, net, state):
        lounge.update_statistics("score", self.numbers[state.iteration])


@pytest.mark.parametrize(
    ("numbers", "patience", "higher", "end"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 1, True, 10),
        ([1, 2, 3, 3, 5, 6, 7, 8, 9, 10, 11], 1, True, 3),
        ([1, 2, 3, 3, 2, 6, 7, 6, 7, 6, 11], 3, True, 9),
        ([1, 2, 3, 3, 2, 6, 7, 6, 7, 6, 11], 2, False, 2),
        ([5, 4, 3, 3, 2, 2, 2, 2, 1, 0, 0], 3, False, 7),
        ([math.nan, 1, 2, math.nan, math.nan, 3, 3, 3, 3, 3, 3], 2, True, 4),
    ],
)
def test_early_stopping(kit, numbers, patience, higher, end):
    solver = kit.solver(max_iter=10)
    solver.add_coffee_break(Script(*numbers), every_n_iter=1)
    solver.add_coffee_break(EarlyStopping("score", patience, higher_better=higher), every_n_iter=1)
    for _ in range(2):  # the second training starts anew
        assert solver.solve(kit.net()).iteration == end


def test_early_stopping_and_a_statistic_that_is_recorded_now_and_then(kit):
    solver = kit.solver(max_iter=10)
    solver.add_coffee_break(Script(*[1] * 11), every_n_iter=3)
    solver.add_coffee_break(EarlyStopping("score", 2), every_n_iter=1)
    state = solver.solve(kit.net())
    assert state.iteration == 6
    assert state.stop_reason == "score has not been better than 1 for 2 times"
    with pytest.raises(ConfigError, match="patience is 0"):
        EarlyStopping("score", 0)


@pytest.mark.parametrize("first", ["snapshot", "stopping"])
def test_early_stopping_waits_as_long_when_training_is_resumed(kit, tmp_path, first):
    def train(max_iter):
        solver = kit.solver(max_iter=max_iter, load_from=tmp_path)
        solver.add_coffee_break(Scores([0, 5, 4, 4, 6, 3, 3, 3, 3, 3, 3]), every_n_iter=1)
        breaks = {"snapshot": Snapshot(tmp_path), "stopping": EarlyStopping("score", 3)}
        solver.add_coffee_break(breaks.pop(first), every_n_iter=1)
        solver.add_coffee_break(*breaks.values(), every_n_iter=1)
        return solver.solve(kit.net()).iteration

    assert [train(2), train(3), train(5), train(10)] == [2, 3, 5, 7]


# -- when breaks are


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"every_n_iter": 1}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"every_n_iter": 4}, [0, 4, 8]),
        # 12 examples in batches of 4: the batch of iteration t is number t, the epoch ends with numbers 2, 5, 8
        ({"every_n_epoch": 1}, [2, 5, 8]),
        ({"every_n_epoch": 2}, [5]),
        ({"every_n_iter": 4, "every_n_epoch": 1}, [0, 4, 8]),
    ],
)
def test_when_a_break_is_due(kit, given, expected):
    seen, solver = [], kit.solver()
    add_coffee_break(solver, kit.do(lambda n, s: seen.append(s.iteration)), **given)
    solver.solve(kit.net())
    assert seen == expected


def test_epochs_shorter_than_a_batch(kit):
    seen, solver = [], kit.solver(max_iter=4)
    solver.add_coffee_break(kit.do(lambda n, s: seen.append((s.iteration, n.epoch))), every_n_epoch=2)
    solver.solve(kit.net(data=[kit.x[:3], kit.t[:3]]))  # batches of 4: an epoch and a third each
    assert seen == [(1, 2), (2, 4), (4, 6)]


def test_breaks_happen_in_their_order(kit):
    order, solver = [], kit.solver(max_iter=2)
    for name, every, last in (("a", 1, False), ("z", 1, True), ("b", 2, False), ("c", 1, False)):
        solver.add_coffee_break(
            kit.do(lambda n, s, name=name: order.append(f"{name}{s.iteration}")), every_n_iter=every, last=last
        )
    solver.solve(kit.net())
    assert order == ["a0", "b0", "c0", "z0", "a1", "c1", "z1", "a2", "b2", "c2", "z2"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "give every_n_iter or every_n_epoch"),
        ({"every_n_iter": -1}, "every_n_iter is -1"),
        ({"every_n_epoch": 1.5}, "every_n_epoch is 1.5"),
        ({"every_n_iter": True}, "every_n_iter is True"),
        ({"coffee": TrainingSummary, "every_n_iter": 1}, "expected a CoffeeBreak such as"),
    ],
)
def test_breaks_that_cannot_be(kit, given, told):
    with pytest.raises(ConfigError) as error:
        kit.solver().add_coffee_break(**{"coffee": TrainingSummary(), **given})
    assert "add_coffee_break: " in str(error.value)
    assert told in str(error.value)


def test_a_break_after_epochs_of_data_that_have_none(kit):
    layers = [
        RandomNormalLayer(tops=["x", "y"], output_dims=[3], batch_sizes=[4, 4]),
        InnerProductLayer(name="ip", output_dim=3, bottoms=["x"], tops=["z"]),
        SquareLossLayer(bottoms=["z", "y"]),
    ]
    solver = kit.solver(max_iter=2)
    solver.add_coffee_break(TrainingSummary(), every_n_iter=1, every_n_epoch=3)  # iterations count
    with Net("noise", kit.backend, layers) as net:
        solver.solve(net)
        solver.add_coffee_break(TrainingSummary(), every_n_epoch=3)
        with pytest.raises(ConfigError, match="TrainingSummary is due every 3 epochs"):
            solver.solve(net)


# -- going back


def test_going_back_restores_all_of_it(kit, tmp_path):
    solver, net, seen = kit.recorded(kit.solver(max_iter=8, **FAST)), kit.deep(), []
    went = []

    def change(net, state):
        seen.append((state.iteration, state.obj_val, kit.values(net)))
        if state.iteration == 3:
            solver.snapshot(net, state, tmp_path)
        if state.iteration == 6 and not went:
            went.append(read_snapshot(tmp_path / "snapshot-000003.h5"))
            state.go_back = went[0]

    solver.add_coffee_break(kit.do(change), every_n_iter=1)
    solver.solve(net)
    assert [i for i, *_ in seen] == [0, 1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8]
    for first, again in zip(seen[4:7], seen[7:10], strict=True):
        assert first[:2] == again[:2]
        assert same(first[2], again[2])


def velocities(kit, solver):
    start = f"{solver.prefix}velocity/"
    return {key.removeprefix(start): v.copy() for key, v in kit.backend.store.arrays.items() if key.startswith(start)}


def test_states_that_a_snapshot_lacks_start_anew(kit, tmp_path):
    solver, net = kit.solver(**FAST), kit.deep()
    state = init_solve(solver, net)
    onestep_solve(solver, net, state)
    before = velocities(kit, solver)
    snapshot = read_snapshot(solver.snapshot(net, state, tmp_path))
    del snapshot.state["velocity/hidden___weight"]
    onestep_solve(solver, net, state)
    resume.restore(solver, net, state, snapshot)
    after = velocities(kit, solver)
    assert np.any(before["hidden___weight"])
    assert same(after, {**before, "hidden___weight": np.zeros((5, 4))})


def test_getting_ready_again_starts_anew(kit):
    solver, net = kit.solver(**FAST), kit.deep()
    onestep_solve(solver, net, init_solve(solver, net))
    assert any(map(np.any, velocities(kit, solver).values()))
    state = init_solve(solver, net)
    assert state.iteration == 0
    assert not any(map(np.any, velocities(kit, solver).values()))


def test_epochs_before_the_training_do_not_count(kit):
    seen, solver, net = [], kit.solver(max_iter=4), kit.net()
    solver.add_coffee_break(kit.do(lambda n, s: seen.append(s.iteration)), every_n_epoch=1)
    net.forward_epoch()
    for _ in range(2):
        solver.solve(net)
    assert seen == [2, 0 + 3]
