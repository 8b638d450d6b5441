from __future__ import annotations

import contextlib
import fcntl
import gzip
import os
import struct
import sys

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocha.data import (
    HDF5Source,
    convert_mnist,
    download_mnist,
    find_mnist,
    load_digits,
    load_mnist,
    read_idx,
)
from mocha.data.converters.mnist import FILES
from mocha.errors import ConfigError, FormatError, MochaError, StateError


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write_mnist(folder, sizes=(40, 10), compressed=True):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for split, n in zip(("train", "test"), sizes, strict=True):
        labels = np.arange(n) % 10
        images = rng.integers(0, 256, (n, 28, 28))
        images[:, 0, 0] = np.arange(n)
        for part, array in ((f"{split}_images", images), (f"{split}_labels", labels)):
            raw = idx(array)
            name = FILES[part] + (".gz" if compressed else "")
            (folder / name).write_bytes(gzip.compress(raw) if compressed else raw)
    return folder


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No MNIST is in reach."""
    for name in ("MOCHA_DATA", "MOCHA_SHARED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (0, 28, 28), (1,) * 8])
def test_idx(tmp_path, shape, compressed):
    array = np.arange(np.prod(shape)).reshape(shape)
    (tmp_path / "x").write_bytes(gzip.compress(idx(array)) if compressed else idx(array))
    again = read_idx(tmp_path / "x")
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(again, array)


GOOD = idx(np.arange(12).reshape(3, 4))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "starts with"),
        (b"\0\0\x0d\x01" + bytes(8), "expected an idx file of bytes"),
        (b"\0\0\x08\0", "number of axes"),
        (b"\0\0\x08\xff" + bytes(2000), "number of axes"),
        (GOOD[:9], "within its header"),
        (GOOD[:-1], "12 bytes.*only 11"),
        (GOOD + b"x", "it has more"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "claims"),
        (b"\0\0\x08\x02" + b"\0\0\x7f\xff" * 2, "only 0"),
        (gzip.compress(GOOD)[:-9], "damaged"),
        (gzip.compress(GOOD)[:12], "damaged"),
        (b"\x1f\x8bnot gzip at all", "damaged"),
        (gzip.compress(bytes(10**7)), "starts with"),
        (gzip.compress(GOOD + bytes(10**7)), "it has more"),
    ],
)
def test_bad_idx(tmp_path, raw, message):
    (tmp_path / "bad-idx").write_bytes(raw)
    with pytest.raises(FormatError, match=f"bad-idx.*{message}"):
        read_idx(tmp_path / "bad-idx")


def test_missing_idx(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(FormatError, match="missing or damaged"):
            read_idx(path)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.binary(max_size=40), st.binary(max_size=30).map(lambda tail: b"\0\0\x08\x02" + tail)), st.booleans()
)
def test_hostile_bytes(tmp_path_factory, raw, compressed):
    path = tmp_path_factory.getbasetemp() / "hostile-idx"
    path.write_bytes(gzip.compress(raw) if compressed else raw)
    with contextlib.suppress(FormatError):
        assert read_idx(path).size == len(raw) - 4 - 4 * raw[3]


def test_find(nowhere, monkeypatch):
    assert find_mnist() is None
    places = [nowhere / "shared" / "data" / "mnist", nowhere / "s" / "data" / "mnist", nowhere / "cache/mocha/mnist"]
    monkeypatch.setenv("MOCHA_SHARED", str(nowhere / "s"))
    monkeypatch.setenv("MOCHA_DATA", str(nowhere / "d"))
    for place in [*places, nowhere / "d" / "mnist", nowhere / "d", nowhere / "given"]:
        write_mnist(place, compressed=place.name != "d")
        found = find_mnist(nowhere / "given")
        assert found is not None
        assert found.resolve() == place
    (nowhere / "given" / f"{FILES['test_labels']}.gz").unlink()
    assert find_mnist(nowhere / "given") == nowhere / "d"


def test_load(tmp_path):
    digits = load_mnist(write_mnist(tmp_path))
    assert {name: array.shape for name, array in digits.items()} == {
        "train_images": (40, 28, 28), "train_labels": (40,), "test_images": (10, 28, 28), "test_labels": (10,)
    }  # fmt: skip
    (tmp_path / f"{FILES['train_labels']}.gz").write_bytes(idx(np.arange(39) % 10))
    with pytest.raises(FormatError, match=r"train images.*\(40, 28, 28\).*\(39,\)"):
        load_mnist(tmp_path)
    (tmp_path / f"{FILES['train_labels']}.gz").write_bytes(idx(np.arange(40)))
    with pytest.raises(FormatError, match="labels from 0 to 9"):
        load_mnist(tmp_path)
    (tmp_path / f"{FILES['train_labels']}.gz").unlink()
    with pytest.raises(FormatError, match="train-labels"):
        load_mnist(tmp_path)


def test_convert(tmp_path, monkeypatch):
    folder = write_mnist(tmp_path / "raw")
    written = convert_mnist(folder, tmp_path / "out", 5)
    names = ["train.hdf5", "train-data-list.txt", "test.hdf5", "test-data-list.txt"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    digits = load_mnist(folder)
    with h5py.File(written[0]) as file:
        data, label = file["data"], file["label"]
        assert (data.shape, data.dtype, data.chunks) == ((40, 1, 28, 28), np.float32, None)
        assert (label.shape, label.dtype, label.chunks) == ((40, 1), np.float32, None)
        order = np.rint(data[:, 0, 0, 0] * 256).astype(int)  # the first pixel tells which image it is
        assert sorted(order) == list(range(40))
        assert order.tolist() != list(range(40))
        np.testing.assert_array_equal(data[:, 0], digits["train_images"][order] / np.float32(256))
        np.testing.assert_array_equal(label[:, 0], digits["train_labels"][order])
    again, other = (convert_mnist(folder, tmp_path / f"again{seed}", seed) for seed in (5, 6))
    with h5py.File(written[0]) as one, h5py.File(again[0]) as two, h5py.File(other[0]) as three:
        assert (one["data"][()] == two["data"][()]).all()
        assert (one["data"][()] != three["data"][()]).any()
    for place, listing in ((tmp_path / "out", "train-data-list.txt"), (tmp_path, "out/train-data-list.txt")):
        monkeypatch.chdir(place)
        assert HDF5Source(listing, ["data", "label"], 8, shuffle=True).batch(0)["data"].shape == (8, 1, 28, 28)


def test_files_of_others_are_not_replaced(tmp_path):
    folder, out = write_mnist(tmp_path / "raw"), tmp_path / "out"
    out.mkdir()
    (out / "train.hdf5").write_text("mine")
    with pytest.raises(ConfigError, match=r"train\.hdf5 is there already.*--overwrite"):
        convert_mnist(folder, out)
    assert (out / "train.hdf5").read_text() == "mine"
    convert_mnist(folder, out, overwrite=True)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    convert_mnist(folder, out)  # all is there
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.hdf5")}.items() <= before.items()
    with pytest.raises(ConfigError, match="is there already"):
        convert_mnist(folder, out, seed=9)
    descriptor = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(StateError, match="another process"):
            convert_mnist(folder, out, overwrite=True)
    finally:
        os.close(descriptor)


def test_digits():
    pytest.importorskip("sklearn")
    digits = load_digits()
    assert digits["train_images"].shape == (1437, 28, 28)
    assert digits["test_images"].shape == (360, 28, 28)
    for name, array in digits.items():
        assert array.dtype == np.uint8
        assert array.max() == (255 if "images" in name else 9)
    images = digits["train_images"]
    assert not images[:, :2].any()
    assert not images[:, :, -2:].any()
    np.testing.assert_array_equal(images[:, 2:26:3, 2:26:3], images[:, 4:26:3, 3:26:3])
    assert all((load_digits()[name] == array).all() for name, array in digits.items())
    assert (load_digits(seed=1)["test_labels"] != digits["test_labels"]).any()


@pytest.mark.parametrize(("module", "call"), [("pooch", download_mnist), ("sklearn.datasets", load_digits)])
def test_a_missing_package_is_named(monkeypatch, module, call):
    monkeypatch.setitem(sys.modules, module, None)  # what makes importing it fail
    with pytest.raises(MochaError, match=r'pip install "mocha-dl\[demo\]"'):
        call()


def test_download_tries_the_next_mirror(tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")
    asked = []

    def retrieve(url, known_hash, fname, path, downloader):
        asked.append(url)
        assert known_hash.startswith("sha256:")
        if "ossci" in url:
            raise OSError("out of reach")
        (path / fname).write_bytes(b"")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert download_mnist(tmp_path) == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.gz" for name in FILES.values())
    assert len(asked) == 5  # the mirror that failed is not asked again


def test_download_without_a_network(tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")

    def retrieve(url, *args, **kwargs):
        raise (OSError if "ossci" in url else ValueError)("no such luck")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(MochaError, match=r"(?s)no such luck.*no such luck.*Put its four files.*MOCHA_DATA"):
        download_mnist(tmp_path)


@pytest.mark.data
def test_the_real_one(tmp_path):
    folder = find_mnist()
    if folder is None:
        pytest.skip("MNIST is not here: set MOCHA_DATA to the directory with its four files")
    digits = load_mnist(folder)
    assert digits["train_images"].shape == (60000, 28, 28)
    assert digits["test_images"].shape == (10000, 28, 28)
    assert np.bincount(digits["test_labels"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    train_hdf5, train_list, *_ = convert_mnist(folder, tmp_path)
    assert train_hdf5.stat().st_size > 60000 * 785 * 4
    source = HDF5Source(train_list, ["data", "label"], 6000, shuffle=True)
    counts = sum(np.bincount(source.batch(n)["label"][:, 0].astype(int), minlength=10) for n in range(10))
    assert counts.tolist() == np.bincount(digits["train_labels"]).tolist()
    batch = source.batch(10)["data"]
    assert 0 <= batch.min() < batch.max() == np.float32(255 / 256)
