"""The lounge and its file."""

import itertools
import logging
import math

import h5py
import numpy as np
import pytest

from mocha import (
    SGD,
    CoffeeBreak,
    ConfigError,
    FormatError,
    InnerProductLayer,
    LRPolicy,
    MemoryDataLayer,
    Net,
    Solver,
    SquareLossLayer,
    TrainingSummary,
    add_coffee_break,
    make_solver_parameters,
    read_statistics,
    setup_coffee_lounge,
    solve,
)
from mocha.backends import Backend
from mocha.coffee import write_statistics
from mocha.solvers import Lounge

X = np.random.default_rng(0).standard_normal((8, 3))


@pytest.fixture
def net():
    with Backend("numpy") as backend:
        layers = [
            MemoryDataLayer(data=[X, X[:, :2]], batch_size=4),
            InnerProductLayer(name="ip", output_dim=2, bottoms=["data"], tops=["ip"]),
            SquareLossLayer(name="loss", bottoms=["ip", "label"]),
        ]
        yield Net("train", backend, layers)


def solver_of(max_iter=4, **params):
    return Solver(SGD(), make_solver_parameters(SGD(), max_iter=max_iter, lr_policy=LRPolicy.Fixed(0.1), **params))


class Count(CoffeeBreak):
    def enjoy(self, lounge, net, state):
        lounge.update_statistics("count", state.iteration)


def test_the_lounge_records_at_the_present_iteration():
    lounge = Lounge()
    assert lounge.get_statistics("a") == {}
    lounge.update_statistics("a", 1)
    lounge.iteration = 5
    lounge.update_statistics("a", np.float32(2.5))
    lounge.update_statistics("a", True)
    assert lounge.get_statistics("a") == {0: 1.0, 5: 1.0}
    assert lounge.changed


NAMES = [
    "obj_val",
    "a/b",
    "100%",
    "%2F",
    "/",
    "//",
    "été ☕ 咖啡",
    "with space",
    "a.b",
    ".",
    "..",
    "loss-square-loss",
    "\n",
]


def test_the_file_gives_back_what_was_written(tmp_path):
    statistics = {name: {0: math.nan, 7 + i: -math.inf, 10**12: 1 / 3, 3: 2.0**-1074} for i, name in enumerate(NAMES)}
    path = tmp_path / "deep" / "statistics.h5"
    write_statistics(path, statistics)
    found = read_statistics(str(path))
    assert set(found) == set(statistics)
    for name, numbers in statistics.items():
        assert list(found[name]) == sorted(numbers)
        np.testing.assert_array_equal([found[name][i] for i in numbers], list(numbers.values()))
    write_statistics(path, {})
    assert read_statistics(path) == {}


def test_the_file_can_be_read_by_others(tmp_path):
    write_statistics(tmp_path / "s.h5", {"a/b": {2: 0.5, 1: 0.25}})
    with h5py.File(tmp_path / "s.h5") as file:
        assert list(file) == ["a%2Fb"]
        assert file["a%2Fb/iteration"].dtype == np.int64
        np.testing.assert_array_equal(file["a%2Fb/iteration"], [1, 2])
        np.testing.assert_array_equal(file["a%2Fb/value"], [0.25, 0.5])


def _group(**datasets):
    def make(path):
        with h5py.File(path, "w") as file:
            for name, data in datasets.items():
                file[f"a/{name}"] = data

    return make


DAMAGED = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("iteration,value\n"),
    "a model": lambda path: h5py.File(path, "w").create_dataset("ip___weight", data=X).file.close(),
    "no values": _group(iteration=[1, 2]),
    "no iterations": _group(value=[1.0, 2.0]),
    "other lengths": _group(iteration=[1, 2], value=[1.0]),
    "two axes": _group(iteration=[[1, 2]], value=[[1.0, 2.0]]),
    "scalars": _group(iteration=1, value=1.0),
    "fractions": _group(iteration=[1.5], value=[1.0]),
    "words": _group(iteration=[1], value=["one"]),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_no_statistics_file(tmp_path, kind):
    path = tmp_path / "s.h5"
    DAMAGED[kind](path)
    with pytest.raises(FormatError, match=r"s\.h5"):
        read_statistics(path)
    with pytest.raises(FormatError, match=r"s\.h5"):
        setup_coffee_lounge(solver_of(), save_into=path)


def test_a_missing_file(tmp_path):
    with pytest.raises(FormatError, match="there is no such file"):
        read_statistics(tmp_path / "s.h5")


def test_damage_of_any_kind_is_told_as_such(tmp_path):
    """Each byte of a small file, damaged: it reads as statistics or is refused, and nothing else happens."""
    path, bad = tmp_path / "s.h5", tmp_path / "bad.h5"
    write_statistics(path, {"a": {1: 2.0}})
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for place in [*range(0, 1200, 7), *rng.integers(0, len(whole), 100).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        bad.write_bytes(damaged)
        try:
            read_statistics(bad)
        except FormatError:
            refused += 1
    for length in range(0, len(whole), 101):
        bad.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            read_statistics(bad)
    assert refused > 5


def test_statistics_are_saved_every_so_often_and_at_the_end(net, tmp_path):
    path, seen = tmp_path / "out" / "s.h5", {}
    solver = solver_of(max_iter=7)
    setup_coffee_lounge(solver, save_into=path, every_n_iter=3, progress=False)
    add_coffee_break(solver, Count(), every_n_iter=1)

    class Look(CoffeeBreak):
        def enjoy(self, lounge, net, state):
            seen[state.iteration] = list(read_statistics(path)["count"]) if path.exists() else None

    solver.add_coffee_break(Look(), every_n_iter=1, last=True)
    solve(solver, net)
    assert {i: counts and counts[-1] for i, counts in seen.items()} == {0: 0, 1: 0, 2: 0, 3: 3, 4: 3, 5: 3, 6: 6, 7: 6}
    assert list(read_statistics(path)["count"]) == list(range(8))


def test_statistics_are_saved_after_an_error_in_training(net, tmp_path):
    class Fail(CoffeeBreak):
        def enjoy(self, lounge, net, state):
            if state.iteration == 3:
                raise RuntimeError("on purpose")

    solver = solver_of()
    setup_coffee_lounge(solver, save_into=tmp_path / "s.h5", every_n_iter=1000, progress=False)
    add_coffee_break(solver, Count(), every_n_iter=1)
    add_coffee_break(solver, Fail(), every_n_iter=1)
    with pytest.raises(RuntimeError, match="on purpose"):
        solve(solver, net)
    assert read_statistics(tmp_path / "s.h5") == {"count": {i: i for i in range(4)}}


def test_a_file_is_not_written_again_when_nothing_changed(net, tmp_path):
    solver = solver_of()
    setup_coffee_lounge(solver, save_into=tmp_path / "s.h5", progress=False)
    solve(solver, net)
    assert not (tmp_path / "s.h5").exists()
    files = []

    class Look(CoffeeBreak):
        def enjoy(self, lounge, net, state):
            files.append((tmp_path / "s.h5").stat().st_ino)

    add_coffee_break(solver, Count(), every_n_iter=3)
    solver.add_coffee_break(Look(), every_n_iter=1, last=True)
    solve(solver, net)
    assert [a == b for a, b in itertools.pairwise([*files, (tmp_path / "s.h5").stat().st_ino])] == [
        True, True, False, True, True,
    ]  # fmt: skip


def test_without_a_file_statistics_stay_in_memory(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    solver = solver_of()
    setup_coffee_lounge(solver, progress=False)
    add_coffee_break(solver, Count(), every_n_iter=2)
    solve(solver, net)
    assert solver.lounge.get_statistics("count") == {0: 0, 2: 2, 4: 4}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file_exists", ["merge", "overwrite", "panic"])
def test_a_file_that_is_there(net, tmp_path, file_exists, caplog):
    path = tmp_path / "s.h5"
    old = {"count": {1: -1.0, 99: 99.0}, "other": {5: 5.0}}
    write_statistics(path, old)
    solver = solver_of()
    if file_exists == "panic":
        with pytest.raises(ConfigError, match="exists; move it away, or choose file_exists='merge' or 'overwrite'"):
            setup_coffee_lounge(solver, save_into=path, file_exists="panic")
        assert read_statistics(path) == old
        return
    with caplog.at_level(logging.WARNING, "mocha"):
        setup_coffee_lounge(solver, save_into=path, file_exists=file_exists, progress=False)
    assert ("will be overwritten" in caplog.text) is (file_exists == "overwrite")
    assert read_statistics(path) == old  # until there is something new
    add_coffee_break(solver, Count(), every_n_iter=1)
    solve(solver, net)
    new = {i: float(i) for i in range(5)}
    expected = {"count": {**new, 99: 99.0}, "other": {5: 5.0}} if file_exists == "merge" else {"count": new}
    assert read_statistics(path) == expected


@pytest.mark.parametrize("file_exists", ["Merge", "append", "", None])
def test_a_wrong_file_exists(tmp_path, file_exists):
    with pytest.raises(ConfigError, match=f"file_exists is {file_exists!r}; expected 'merge', 'overwrite' or 'panic'"):
        setup_coffee_lounge(solver_of(), save_into=tmp_path / "s.h5", file_exists=file_exists)


@pytest.mark.parametrize("file_exists", ["merge", "overwrite", "panic"])
def test_a_file_that_is_not_there_is_made(net, tmp_path, file_exists):
    solver = solver_of(max_iter=1)
    setup_coffee_lounge(solver, save_into=tmp_path / "a" / "s.h5", file_exists=file_exists, progress=False)
    add_coffee_break(solver, TrainingSummary("obj_val", "loss"), every_n_iter=1)
    solve(solver, net)
    assert set(read_statistics(tmp_path / "a" / "s.h5")) == {"obj_val", "loss"}


def test_links_to_other_files_are_not_followed(tmp_path):
    write_statistics(tmp_path / "other.h5", {"a": {1: 2.0}})
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["a"] = h5py.ExternalLink("other.h5", "/a")
    with pytest.raises(FormatError, match="links are not followed"):
        read_statistics(tmp_path / "s.h5")
