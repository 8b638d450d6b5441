from __future__ import annotations

import dataclasses
import logging
import math
import os

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocha.errors import ConfigError, FormatError
from mocha.io import Snapshot, newest_snapshot, read_model, read_snapshot, snapshot_path, write_model, write_snapshot

FULL = Snapshot(
    parameters={
        "conv1___filter": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
        "inception_3a/1x1___weight": np.array([[1.5, -0.0], [np.nan, np.inf]]),
        "solver/über___bias": np.zeros((0, 3), np.float32),
        "solver/state/odd___bias": np.ones(2, np.float32),
    },
    method="Adam",
    scalars={"iteration": 12.0, "obj_val": 0.1, "a/b.c": math.inf, "": -1.0},
    state={
        "velocity/conv1___filter": np.ones(3, np.float32),
        "steps": np.arange(4),
        "": np.ones(1),
        "übel/x___y": np.ones(()),
    },
    iteration=12,
    seed=2**32 - 1,
    counter=2**40,
    positions={"mnist/train": 3, "日本": 0, "a.b": 2**40},
    policies={"Staged": {"stage": 1.0, "a/b": 0.5}, "nothing remembered": {}},
)


def assert_same(one: Snapshot, two: Snapshot) -> None:
    for field in dataclasses.fields(Snapshot):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if field.name in ("parameters", "state"):
            assert a.keys() == b.keys()
            for key in a:
                assert (a[key].dtype, a[key].shape) == (b[key].dtype, b[key].shape)
                assert a[key].tobytes() == b[key].tobytes()
        else:
            assert a == b, field.name


def test_round_trip(tmp_path):
    write_snapshot(tmp_path / "deep" / "s.h5", FULL)
    assert_same(read_snapshot(tmp_path / "deep" / "s.h5"), FULL)
    assert os.listdir(tmp_path / "deep") == ["s.h5"]


def test_a_snapshot_is_a_model_file(tmp_path):
    write_snapshot(tmp_path / "s.h5", FULL)
    assert read_model(tmp_path / "s.h5").keys() == FULL.parameters.keys()
    with h5py.File(tmp_path / "s.h5") as file:
        np.testing.assert_array_equal(file["conv1___filter"], FULL.parameters["conv1___filter"])
        assert file["inception_3a/1x1___weight"].shape == (2, 2)


def test_a_model_file_is_a_snapshot(tmp_path):
    write_model(tmp_path / "m.h5", FULL.parameters)
    assert_same(read_snapshot(tmp_path / "m.h5"), Snapshot(FULL.parameters))


names = st.text(max_size=12)
floats = st.floats(allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(
    layers=st.sets(names, max_size=4),
    keys=st.sets(names, max_size=3),
    positions=st.dictionaries(names, st.integers(0, 2**62), max_size=3),
    policies=st.dictionaries(names, st.dictionaries(names, floats, max_size=3), max_size=3),
    scalars=st.dictionaries(names, floats, max_size=3),
    method=st.text(max_size=6),
)
def test_any_names_come_back(tmp_path_factory, layers, keys, positions, policies, scalars, method):
    snapshot = Snapshot(
        parameters={f"{layer}___weight": np.full(2, i, np.float32) for i, layer in enumerate(sorted(layers))},
        state={key: np.full(1, i) for i, key in enumerate(sorted(keys))},
        method=method,
        positions=positions,
        policies=policies,
        scalars=scalars,
    )
    path = tmp_path_factory.mktemp("names") / "s.h5"
    write_snapshot(path, snapshot)
    assert_same(read_snapshot(path), snapshot)


def test_truncation_at_every_length_is_a_format_error(tmp_path):
    path = tmp_path / "s.h5"
    write_snapshot(path, FULL)
    raw = path.read_bytes()
    for length in [*range(0, len(raw), 97), len(raw) - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises(FormatError, match=r"s\.h5"):
            read_snapshot(path)


def test_a_flipped_bit_is_found_or_harmless(tmp_path):
    path = tmp_path / "s.h5"
    write_snapshot(path, FULL)
    raw = path.read_bytes()
    found = 0
    for place in range(0, len(raw), 11):
        damaged = bytearray(raw)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert_same(read_snapshot(path), FULL)  # HDF5 leaves bytes unused
        except FormatError:
            found += 1
    assert found > 100


def test_damage_within_an_array_is_found(tmp_path):
    path = tmp_path / "s.h5"
    for part in ("parameters", "state"):
        marked = np.full(16, 12345.678)
        write_snapshot(path, dataclasses.replace(FULL, **{part: {"x___y": marked}}))
        raw = path.read_bytes()
        assert raw.count(marked.tobytes()) == 1
        damaged = bytearray(raw)
        damaged[raw.index(marked.tobytes()) + 40] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match="checksum"):
            read_snapshot(path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_a_format_error(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("bytes") / "s.h5"
    for content in (raw, b"\x89HDF\r\n\x1a\n" + raw):
        path.write_bytes(content)
        with pytest.raises(FormatError):
            read_snapshot(path)


def test_a_newer_version_is_refused(tmp_path):
    write_snapshot(tmp_path / "s.h5", FULL)
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        file.attrs["version"] = 2
    with pytest.raises(FormatError, match=r"version 2.*up to version 1.*Update"):
        read_snapshot(tmp_path / "s.h5")


@pytest.mark.parametrize("name", ["version", "crc32", "iteration", "method"])
def test_missing_and_odd_attributes_are_damage(tmp_path, name):
    for value in (None, "text", [1, 2, 3]):
        write_snapshot(tmp_path / "s.h5", FULL)
        with h5py.File(tmp_path / "s.h5", "r+") as file:
            del file.attrs[name]
            if value is not None:
                file.attrs[name] = value
        with pytest.raises(FormatError, match="damaged"):
            read_snapshot(tmp_path / "s.h5")


def test_what_cannot_be_written_leaves_the_old_snapshot(tmp_path):
    path = tmp_path / "s.h5"
    write_snapshot(path, FULL)
    for bad in (
        dataclasses.replace(FULL, state={"x": np.array(["text"])}),
        dataclasses.replace(FULL, parameters={"x___y": np.array([1])}),
    ):
        with pytest.raises(ConfigError):
            write_snapshot(path, bad)
    assert_same(read_snapshot(path), FULL)
    assert os.listdir(tmp_path) == ["s.h5"]


def test_snapshot_path(tmp_path):
    assert snapshot_path(tmp_path, 500).name == "snapshot-000500.h5"
    assert snapshot_path(tmp_path, 12_345_678).name == "snapshot-12345678.h5"


def _series(directory, iterations):
    for iteration in iterations:
        write_snapshot(snapshot_path(directory, iteration), dataclasses.replace(FULL, iteration=iteration))


def test_newest_is_by_number(tmp_path):
    _series(tmp_path, [2_000_000, 999_999, 5])
    os.utime(snapshot_path(tmp_path, 5))  # the latest by time
    (tmp_path / "snapshot-9999999.jld").write_bytes(b"of another program")
    (tmp_path / "snapshot-9999999.h5.tmp").write_bytes(b"half written")
    found = newest_snapshot(tmp_path)
    assert found is not None
    assert (found[0], found[1].iteration) == (snapshot_path(tmp_path, 2_000_000), 2_000_000)
    found = newest_snapshot(tmp_path, at_most=1_000_000)
    assert found is not None
    assert found[1].iteration == 999_999


def test_no_snapshot(tmp_path):
    assert newest_snapshot(tmp_path / "nowhere") is None
    assert newest_snapshot(tmp_path) is None
    _series(tmp_path, [10])
    assert newest_snapshot(tmp_path, at_most=9) is None


def test_a_damaged_newest_is_reported_and_passed_over(tmp_path, caplog):
    _series(tmp_path, [10, 20, 30])
    raw = snapshot_path(tmp_path, 30).read_bytes()
    snapshot_path(tmp_path, 30).write_bytes(raw[:1000])
    snapshot_path(tmp_path, 20).write_bytes(b"")
    with caplog.at_level(logging.WARNING, "mocha"):
        found = newest_snapshot(tmp_path)
    assert found is not None
    assert found[1].iteration == 10
    assert len(caplog.records) == 2
    assert "snapshot-000030.h5" in caplog.text
    assert "truncated" in caplog.text
    snapshot_path(tmp_path, 10).unlink()
    assert newest_snapshot(tmp_path) is None
