"""A resumed run is the run that was never interrupted, bit for bit.

The promise is put to the test where it is hard: a process that is killed (SIGKILL, so nothing can be tidied up) some
iterations after its snapshot, and a fresh one that goes on. The net has dropout, its data are shuffled, lie in two
files and do not divide into batches, and momentum and learning rate change as training goes on.
"""

import logging
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import mocha
from mocha import (
    SGD,
    CoffeeBreak,
    ConvolutionLayer,
    DropoutLayer,
    FormatError,
    HDF5DataLayer,
    InnerProductLayer,
    LRPolicy,
    MomPolicy,
    Nesterov,
    Net,
    Neurons,
    PoolingLayer,
    Snapshot,
    SoftmaxLossLayer,
    Solver,
    TrainingSummary,
    add_coffee_break,
    make_solver_parameters,
    read_statistics,
    save_network,
    solve,
)
from mocha.backends import Backend
from mocha.io import read_snapshot

SCRIPT = '''
import os, signal, sys
from mocha import *

directory, data, until, killed_at, method = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
backend = DefaultBackend()
net = Net("lenet", backend, [
    HDF5DataLayer(name="data", source=data, batch_size=8, shuffle=True),
    ConvolutionLayer(name="conv", n_filter=4, kernel=3, neuron=Neurons.ReLU(), bottoms=["data"], tops=["conv"]),
    PoolingLayer(name="pool", kernel=2, stride=2, bottoms=["conv"], tops=["pool"]),
    DropoutLayer(name="drop", ratio=0.3, bottoms=["pool"]),
    InnerProductLayer(name="ip1", output_dim=10, neuron=Neurons.ReLU(), bottoms=["pool"], tops=["ip1"]),
    DropoutLayer(name="drop2", bottoms=["ip1"]),
    InnerProductLayer(name="ip2", output_dim=3, bottoms=["ip1"], tops=["ip2"]),
    SoftmaxLossLayer(name="loss", bottoms=["ip2", "label"]),
], seed=17)
method = {m.__name__: m for m in (SGD, Nesterov, Adam, AdamW, Adagrad, Adadelta, RMSProp)}[method]()
velocity = "mom_policy" in method.defaults()
own = {"mom_policy": MomPolicy.Linear(0.5, 0.01, 10, 0.9)} if velocity else {}
base = 0.05 if velocity else 1.0 if method.name == "Adadelta" else 0.005
params = make_solver_parameters(method, max_iter=until, lr_policy=LRPolicy.Inv(base, 0.01, 0.75), load_from=directory,
                                clip_gradients=5.0, **own)
solver = Solver(method, params)
setup_coffee_lounge(solver, save_into=f"{directory}/statistics.h5", every_n_iter=50)
told = ["iter", "obj_val", *method.scalars(params, 1)]
add_coffee_break(solver, TrainingSummary(*told), every_n_iter=1)
add_coffee_break(solver, Snapshot(directory), every_n_iter=50)

class Kill(CoffeeBreak):
    def enjoy(self, lounge, net, state):
        if state.iteration == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

add_coffee_break(solver, Kill(), every_n_iter=1)
solve(solver, net)
'''  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """30 examples in two files, in batches of 8: an epoch is no whole number of batches."""
    directory = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, n, chunks in (("a.h5", 17, None), ("b.h5", 13, True)):
        with h5py.File(directory / name, "w") as file:
            file.create_dataset("data", data=rng.standard_normal((n, 1, 8, 8)).astype(np.float32), chunks=chunks)
            file.create_dataset("label", data=rng.integers(0, 3, (n, 1)).astype(np.float32), chunks=chunks)
    (directory / "list.txt").write_text("a.h5\nb.h5\n")
    return directory / "list.txt"


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Runs the script in a process of its own; gives its exit status and what it said."""
    script = tmp_path_factory.mktemp("script") / "train.py"
    script.write_text(SCRIPT)

    def train(directory, until=200, killed_at=-1, method="SGD"):
        source = str(Path(sys.modules["mocha"].__file__).parents[1])
        done = subprocess.run(
            [sys.executable, script, directory, data, str(until), str(killed_at), method],
            capture_output=True, text=True, timeout=120, check=False,
            env={"PYTHONPATH": source, "OPENBLAS_NUM_THREADS": "1", "PATH": ""},
        )  # fmt: skip
        assert "Error" not in done.stderr, done.stderr
        return done.returncode, done.stderr

    return train


@pytest.fixture(scope="module")
def straight(run, tmp_path_factory):
    """200 iterations at once, for each method: the directory."""
    made = {}

    def make(method):
        if method not in made:
            made[method] = tmp_path_factory.mktemp(f"straight-{method}")
            assert run(made[method], method=method)[0] == 0
        return made[method]

    return make


def check_same(directory, expected):
    """The same parameters, states of the method and losses, bit for bit."""
    mine, theirs = (read_snapshot(d / "snapshot-000200.h5") for d in (directory, expected))
    method = getattr(mocha, mine.method)()
    assert len(mine.parameters) == 6
    assert len(mine.state) == 6 * len(method.slots) > 0
    for kind in ("parameters", "state"):
        ours, others = getattr(mine, kind), getattr(theirs, kind)
        assert set(ours) == set(others)
        for key, array in ours.items():
            assert array.tobytes() == others[key].tobytes(), f"{kind} {key} differ"
            assert np.any(array)
    for name in ("method", "scalars", "iteration", "seed", "counter", "positions"):
        assert getattr(mine, name) == getattr(theirs, name)
    ours, others = (read_statistics(d / "statistics.h5") for d in (directory, expected))
    assert set(ours) == {"obj_val", *mine.scalars}
    for name, numbers in ours.items():
        assert list(numbers) == list(range(201))
        np.testing.assert_array_equal(list(numbers.values()), list(others[name].values()))
    assert len(set(ours["obj_val"].values())) > 150


@pytest.mark.parametrize("method", ["SGD", "Nesterov", "Adam", "AdamW", "Adagrad", "Adadelta", "RMSProp"])
def test_killed_and_resumed(run, straight, tmp_path, method):
    status, said = run(tmp_path, killed_at=103, method=method)
    assert status == -signal.SIGKILL
    assert "iter=000103" in said
    assert max(read_statistics(tmp_path / "statistics.h5")["obj_val"]) == 100
    assert sorted(p.name for p in tmp_path.glob("snap*")) == [f"snapshot-000{n}.h5" for n in ("000", "050", "100")]
    status, said = run(tmp_path, method=method)
    assert status == 0
    assert "snapshot-000100.h5, going on from iteration 100." in said
    assert "iter=000099" not in said
    check_same(tmp_path, straight(method))


def test_a_damaged_snapshot_is_passed_over(run, straight, tmp_path):
    run(tmp_path, killed_at=103)
    newest = tmp_path / "snapshot-000100.h5"
    newest.write_bytes(newest.read_bytes()[:-500])
    status, said = run(tmp_path)
    assert status == 0
    assert "Snapshot snapshot-000100.h5 cannot be used, trying the one before it" in said
    assert "snapshot-000050.h5, going on from iteration 50." in said
    check_same(tmp_path, straight("SGD"))


def test_killed_again_and_again(run, straight, tmp_path):
    for killed_at in (20, 60, 130, 151):
        assert run(tmp_path, killed_at=killed_at)[0] == -signal.SIGKILL
    assert run(tmp_path)[0] == 0
    check_same(tmp_path, straight("SGD"))


# -- in this process


@pytest.fixture
def make(data):
    """Makes a net and a solver on a backend of its own."""
    backends = []

    def net_and_solver(directory, *, seed=1, method=None, max_iter=20, name="data", layers=(), n=3, **params):
        backends.append(Backend("numpy"))
        net = Net("net", backends[-1], [
            HDF5DataLayer(name=name, source=data, batch_size=8, shuffle=True),
            ConvolutionLayer(name="conv", n_filter=2, kernel=3, neuron=Neurons.ReLU(), bottoms=["data"], tops=["conv"]),
            PoolingLayer(name="pool", kernel=2, stride=2, bottoms=["conv"], tops=["pool"]),
            DropoutLayer(name="drop", bottoms=["pool"]),
            InnerProductLayer(name="ip", output_dim=n, bottoms=["pool"], tops=["ip"]),
            SoftmaxLossLayer(name="loss", bottoms=["ip", "label"]),
            *layers,
        ], seed=seed)  # fmt: skip
        method = method or SGD()
        rates = {"lr_policy": LRPolicy.Exp(0.05, 0.99), "mom_policy": MomPolicy.Fixed(0.9)}
        solver = Solver(method, make_solver_parameters(method, max_iter=max_iter, load_from=directory,
                                                       **{**rates, **params}))  # fmt: skip
        add_coffee_break(solver, TrainingSummary("obj_val", "loss"), every_n_iter=1)
        return net, solver

    yield net_and_solver
    for backend in backends:
        backend.shutdown()


def values(net):
    return {(layer, name): array.tobytes() for layer, group in net.params.items() for name, array in group.items()}


@pytest.fixture
def halfway(make, tmp_path):
    """A directory with snapshots of 0, 5 and 10, and what 20 iterations at once come to."""
    net, solver = make("")
    solve(solver, net)
    expected = values(net), solver.lounge.get_statistics("obj_val")
    directory = tmp_path / "snapshots"
    net, solver = make(directory, max_iter=10)
    add_coffee_break(solver, Snapshot(directory), every_n_iter=5)
    solve(solver, net)
    return directory, expected


def check_resumed(net, solver, expected, since=10):
    solve(solver, net)
    assert values(net) == expected[0]
    history = solver.lounge.get_statistics("obj_val")
    assert history == {i: number for i, number in expected[1].items() if i >= since}


@pytest.mark.parametrize("seed", [1, 2, 12345])
def test_the_seed_is_the_snapshots(make, halfway, seed):
    directory, expected = halfway
    net, solver = make(directory, seed=seed)
    check_resumed(net, solver, expected)
    assert net.seed == 1


def test_a_snapshot_may_be_named_itself(make, halfway):
    directory, expected = halfway
    net, solver = make(str(directory / "snapshot-000005.h5"), seed=3)
    check_resumed(net, solver, expected, since=5)


def test_a_net_that_has_run_before(make, halfway):
    directory, expected = halfway
    net, solver = make(directory, seed=3)
    net.forward_backward(), net.forward_epoch(), net.forward()
    check_resumed(net, solver, expected)


def test_nothing_is_done_where_the_end_is_reached(make, halfway):
    directory, _ = halfway
    net, solver = make(directory, max_iter=10)
    assert solve(solver, net).iteration == 10
    assert list(solver.lounge.get_statistics("obj_val")) == [10]


def test_breaks_are_had_at_the_iteration_that_is_gone_on_from(make, halfway):
    directory, _ = halfway
    seen = []

    class Look(CoffeeBreak):
        def enjoy(self, lounge, net, state):
            seen.append((state.iteration, state.scalars["learning_rate"]))

    net, solver = make(directory, max_iter=11)
    add_coffee_break(solver, Look(), every_n_iter=1)
    solve(solver, net)
    assert seen == [(i, pytest.approx(0.05 * 0.99**i)) for i in (10, 11)]


def test_a_snapshot_is_not_written_over_itself(make, halfway, caplog):
    directory, _ = halfway
    path = directory / "snapshot-000010.h5"
    before = path.stat().st_ino
    net, solver = make(directory, max_iter=12)
    add_coffee_break(solver, Snapshot(directory), every_n_iter=2)
    with caplog.at_level(logging.INFO, "mocha"):
        solve(solver, net)
    assert path.stat().st_ino == before
    assert (directory / "snapshot-000012.h5").exists()
    assert "Overwriting" not in caplog.text


def test_a_snapshot_taken_again_is_the_same(make, halfway, tmp_path):
    directory, _ = halfway
    before = read_snapshot(directory / "snapshot-000010.h5")
    net, solver = make(directory, max_iter=10)
    add_coffee_break(solver, Snapshot(tmp_path / "other"), every_n_iter=5)
    solve(solver, net)
    after = read_snapshot(tmp_path / "other" / "snapshot-000010.h5")
    for name in ("method", "scalars", "iteration", "seed", "counter", "positions", "policies"):
        assert getattr(after, name) == getattr(before, name)
    for kind in ("parameters", "state"):
        for key, array in getattr(before, kind).items():
            np.testing.assert_array_equal(getattr(after, kind)[key], array)


def test_a_snapshot_of_another_method(make, halfway):
    directory, _ = halfway
    net, solver = make(directory, method=Nesterov())
    before = set(net.backend.store.arrays)
    with pytest.raises(FormatError) as error:
        solve(solver, net)
    assert "taken by the method SGD, but this solver uses Nesterov" in str(error.value)
    assert "load_network(path, net) and leave load_from empty" in str(error.value)
    assert set(net.backend.store.arrays) == before


def test_a_snapshot_of_another_net(make, halfway):
    directory, _ = halfway
    net, solver = make(directory, n=4)
    before = values(net)
    with pytest.raises(FormatError, match=r"'ip___weight' has shape .* the net expects"):
        solve(solver, net)
    assert values(net) == before


def test_a_snapshot_that_knows_no_such_data_layer(make, halfway, caplog):
    directory, _ = halfway
    net, solver = make(directory, name="other")
    with caplog.at_level(logging.WARNING, "mocha"):
        assert solve(solver, net).iteration == 20
    assert "The snapshot knows no data layer 'other': its data start at the beginning." in caplog.text


def test_all_snapshots_damaged(make, halfway, caplog):
    directory, expected = halfway
    for path in directory.iterdir():
        path.write_bytes(path.read_bytes()[:700])
    net, solver = make(directory)
    with caplog.at_level(logging.WARNING, "mocha"):
        check_resumed(net, solver, expected, since=0)
    assert caplog.text.count("cannot be used") == 3


def test_a_damaged_file_that_was_named_is_an_error(make, halfway):
    path = halfway[0] / "snapshot-000010.h5"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(FormatError, match=r"snapshot-000010\.h5"):
        solve(*make(path)[::-1])


# -- load_from, what else it may be


def test_a_plain_model(make, tmp_path):
    model = tmp_path / "model.h5"
    other, _ = make("", seed=5)
    save_network(model, other)
    net, solver = make(model, max_iter=0)
    state = solve(solver, net)
    assert state.iteration == 0
    assert values(net) == values(other)
    assert net.seed == 1
    net, solver = make(model, max_iter=3)
    assert solve(solver, net).iteration == 3


@pytest.mark.parametrize("name", ["model.h5", "deep/model.hdf5"])
def test_a_file_that_is_not_there(make, tmp_path, name, caplog):
    net, solver = make(tmp_path / name, max_iter=1)
    with caplog.at_level(logging.WARNING, "mocha"):
        assert solve(solver, net).iteration == 1
    assert f"load_from: there is no file {tmp_path / name}; starting anew." in caplog.text


@pytest.mark.parametrize("there", [True, False])
def test_a_directory_without_snapshots(make, tmp_path, there, caplog):
    directory = tmp_path / "snapshots.1"
    if there:
        directory.mkdir()
        (directory / "snapshot-12.jld").write_bytes(b"")
    net, solver = make(directory, max_iter=1)
    with caplog.at_level(logging.WARNING, "mocha"):
        assert solve(solver, net).iteration == 1
    assert caplog.text == ""


@pytest.mark.parametrize("there", [True, False])
def test_a_file_of_julia(make, tmp_path, there):
    path = tmp_path / "snapshot-000010.jld"
    if there:
        path.write_bytes(b"whatever")
    with pytest.raises(FormatError, match="is a Julia file; convert it to HDF5 first"):
        solve(*make(path)[::-1])
