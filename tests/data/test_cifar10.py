from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.data.cifar import NAMES, raw_files, write_archive, write_folder

from mocha.data import HDF5Source, convert_cifar10, download_cifar10, find_cifar10, load_cifar10
from mocha.data.converters import archives
from mocha.data.converters.cifar10 import CLASSES
from mocha.errors import ConfigError, FormatError, MochaError


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No CIFAR-10 is in reach."""
    for name in ("MOCHA_DATA", "MOCHA_SHARED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def test_find(nowhere, monkeypatch):
    assert find_cifar10() is None
    monkeypatch.setenv("MOCHA_SHARED", str(nowhere / "s"))
    monkeypatch.setenv("MOCHA_DATA", str(nowhere / "d"))
    archive = "cifar-10-binary.tar.gz"
    for place in [nowhere / "shared/data/cifar10", nowhere / "s/data/cifar10", nowhere / "cache/mocha/cifar10",
                  nowhere / "d/cifar10", nowhere / "d", nowhere / "given"]:  # fmt: skip
        write_archive(place / archive, raw_files(1))
        found = find_cifar10(nowhere / "given")
        assert found is not None
        assert found.resolve() == place / archive
        write_folder(place, raw_files(1))
        assert find_cifar10(nowhere / "given").resolve() == place  # files rather than their archive
    assert find_cifar10(nowhere / "d" / archive) == nowhere / "d" / archive
    write_folder(nowhere / "unpacked" / "cifar-10-batches-bin", raw_files(1))
    assert find_cifar10(nowhere / "unpacked") == nowhere / "unpacked" / "cifar-10-batches-bin"
    (nowhere / "unpacked" / "cifar-10-batches-bin" / NAMES[2]).unlink()
    assert find_cifar10(nowhere / "unpacked") == nowhere / "d"


@pytest.mark.parametrize("form", ["folder", "w", "w:gz", "w:xz", "w:bz2"])
def test_load(tmp_path, form):
    files = raw_files()
    ending = {"w": ".tar", "w:gz": ".tar.gz", "w:xz": ".tar.xz", "w:bz2": ".tar.bz2"}.get(form)
    source = write_folder(tmp_path / "x", files) if ending is None else write_archive(
        tmp_path / f"cifar-10-binary{ending}", files, form
    )  # fmt: skip
    for place in (source, tmp_path if ending else source):
        pictures = load_cifar10(place)
        assert {name: array.shape for name, array in pictures.items()} == {
            "train_images": (20, 3, 32, 32), "train_labels": (20,), "test_images": (4, 3, 32, 32), "test_labels": (4,)
        }  # fmt: skip
    second = np.frombuffer(files["data_batch_2.bin"], np.uint8).reshape(4, 3073)
    np.testing.assert_array_equal(pictures["train_images"][4:8].reshape(4, -1), second[:, 1:])
    np.testing.assert_array_equal(pictures["train_labels"][4:8], second[:, 0])


def test_convert(tmp_path, monkeypatch):
    files = raw_files(6)
    archive = write_archive(tmp_path / "cifar-10-binary.tar.gz", files)
    out = tmp_path / "out"
    done = convert_cifar10(archive, out, 5)
    assert done.samples == {"train": 30, "test": 6}
    assert sorted(path.name for path in out.iterdir()) == [
        "classes.txt", "mean.hdf5", "test-data-list.txt", "test.hdf5", "train-data-list.txt", "train.hdf5"
    ]  # fmt: skip
    assert (out / "classes.txt").read_text().split() == list(CLASSES)
    pictures = load_cifar10(archive)
    with h5py.File(out / "train.hdf5") as file, h5py.File(out / "mean.hdf5") as mean:
        data, label = file["data"], file["label"]
        assert (data.shape, data.dtype, data.chunks) == ((30, 3, 32, 32), np.uint8, None)
        assert (label.shape, label.dtype, label.chunks) == ((30, 1), np.float32, None)
        place = {image.tobytes(): number for number, image in enumerate(pictures["train_images"])}
        order = [place[image.tobytes()] for image in data[()]]
        assert sorted(order) == list(range(30)) != order
        np.testing.assert_array_equal(label[:, 0], pictures["train_labels"][order])
        np.testing.assert_allclose(mean["mean"][()], pictures["train_images"].mean(axis=0), rtol=1e-6)
    assert HDF5Source(out / "test-data-list.txt", ["data", "label"], 6).batch(0)["data"].dtype == np.float32
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.MonkeyPatch.context() as patch:  # the second time there is no need to unpack anything
        patch.setattr(archives.tarfile, "open", None)
        again = convert_cifar10(archive, out, 5)
    assert (again.made, again.kept) == (0, 2)
    with pytest.raises(ConfigError, match="is there already"):
        convert_cifar10(archive, out, 6)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    convert_cifar10(archive, out, 6, overwrite=True)
    assert (out / "train.hdf5").read_bytes() != before["train.hdf5"]
    assert (h5py.File(out / "mean.hdf5")["mean"][()] == h5py.File(io.BytesIO(before["mean.hdf5"]))["mean"][()]).all()
    (out / "test.hdf5").unlink()
    assert convert_cifar10(archive, out, 6).kept == 1


def test_names_of_classes(tmp_path):
    files = raw_files(1)
    other = files | {"batches.meta.txt": "\n".join("abcdefghij").encode()}
    assert convert_cifar10(write_folder(tmp_path / "own", other), tmp_path / "1").classes == tuple("abcdefghij")
    assert convert_cifar10(write_archive(tmp_path / "own.tar.gz", other), tmp_path / "2").classes[0] == "a"
    del files["batches.meta.txt"]
    assert convert_cifar10(write_folder(tmp_path / "none", files), tmp_path / "3").classes == CLASSES
    bad = files | {"batches.meta.txt": b"\xff\nonly two"}
    assert convert_cifar10(write_folder(tmp_path / "bad", bad), tmp_path / "4").classes == CLASSES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_batch_3.bin": None}, "data_batch_3.bin is not there"),
        ({"data_batch_3.bin": b""}, "has 0 bytes; expected a whole number of records of 3073"),
        ({"data_batch_3.bin": bytes(3072)}, "has 3072 bytes"),
        ({"test_batch.bin": b"\x0a" + bytes(3072)}, "record 0 for test has label 10; expected 0 to 9"),
        ({"data_batch_1": b"pickle"}, "the Python version.*cifar-10-binary.tar.gz"),
        ({"data_batch_1.mat": b"MATLAB"}, "the MATLAB version.*cifar-10-binary.tar.gz"),
    ],
)
def test_wrong_files(tmp_path, change, message):
    files = {name: raw for name, raw in (raw_files(1) | change).items() if raw is not None}
    with pytest.raises(FormatError, match=message):
        convert_cifar10(write_archive(tmp_path / "a.tar", files, "w"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    if len(files) == 7 and all(files.values()):
        with pytest.raises(FormatError, match=message):
            convert_cifar10(write_folder(tmp_path / "folder", files), tmp_path / "out")


def test_other_versions_by_their_folders(tmp_path):
    write_folder(tmp_path / "a" / "cifar-10-batches-py", {"data_batch_1": b"cos\nsystem\n"})
    write_folder(tmp_path / "b", {"cifar-10-python.tar.gz": b"x"})
    for name in ("a", "b"):
        with pytest.raises(FormatError, match="the Python version"):
            load_cifar10(tmp_path / name)
    with pytest.raises(FormatError, match="does not hold CIFAR-10"):
        load_cifar10(tmp_path)
    with pytest.raises(FormatError, match="does not hold CIFAR-10"):
        load_cifar10(tmp_path / "missing")


def hostile(kind):
    """An archive that is not what it should be."""
    good = io.BytesIO()
    with tarfile.open(fileobj=good, mode="w") as tar:
        for name, raw in raw_files(1).items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            if kind == "large":
                member.size = 300 << 20
                tar.fileobj.write(member.tobuf(format=tarfile.GNU_FORMAT))
                break
            if kind == "link" and name == "test_batch.bin":
                member.type, member.linkname, member.size, raw = tarfile.SYMTYPE, "/etc/passwd", 0, b""
            tar.addfile(member, io.BytesIO(raw))
            if kind == "twice":
                tar.addfile(member, io.BytesIO(raw))
        if kind == "many":
            for number in range(1200):
                tar.addfile(tarfile.TarInfo(f"{number}"))
        if kind == "huge":
            member = tarfile.TarInfo("zeros")
            member.size = 1 << 40
            tar.fileobj.write(member.tobuf(format=tarfile.GNU_FORMAT))
    raw = good.getvalue()
    return {
        "empty": b"", "noise": os.urandom(5000), "short": raw[:9000], "gzip": gzip.compress(raw)[:-2000],
        "xz": lzma.compress(raw)[:-3000], "header": b"\xff" * 300 + raw, "bomb": gzip.compress(bytes(8 << 20)),
        "sum": raw[:600] + b"\xff" * 512 + raw[1112:], "lzma": b"\xfd7zXZ\0" + os.urandom(100),
    }.get(kind, raw)  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    ["empty", "noise", "short", "gzip", "xz", "header", "bomb", "link", "twice", "many", "large", "huge", "lzma"],
)
def test_hostile_archives(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("mocha.data.converters.cifar10._LARGEST_ARCHIVE", 4 << 20)
    (tmp_path / "a.tar").write_bytes(hostile(kind))
    with pytest.raises(FormatError, match=r"a\.tar: ") as caught:
        convert_cifar10(tmp_path / "a.tar", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar"]
    expected = {
        "link": "test_batch.bin is not there",
        "twice": "twice",
        "many": "more than 1000",
        "large": "at most",
        "huge": "claims",
    }
    assert expected.get(kind, "") in str(caught.value)


def test_paths_that_lead_away(tmp_path):
    archive = write_archive(tmp_path / "deep" / "a.tar", raw_files(1), "w", prefix="../../../")
    assert load_cifar10(archive)["test_labels"].shape == (1,)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "deep"]


def test_download(tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")
    asked = []

    def retrieve(url, known_hash, fname, path, downloader):
        asked.append((url, known_hash))
        Path(path).mkdir(exist_ok=True)
        write_archive(path / fname, raw_files(1))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    archive = download_cifar10(tmp_path / "cache")
    assert archive == tmp_path / "cache" / "cifar-10-binary.tar.gz"
    assert load_cifar10(archive)["train_labels"].shape == (5,)
    (asked,) = asked
    assert asked == (
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "md5:c32a1d4ab5d03f1284b67883e8d87530"
    )  # fmt: skip


@pytest.mark.parametrize("error", [OSError, ValueError])
def test_download_without_a_network(tmp_path, monkeypatch, error):
    pooch = pytest.importorskip("pooch")

    def retrieve(*args, **kwargs):
        raise error("no such luck")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(MochaError, match=r"(?s)no such luck.*Put cifar-10-binary\.tar\.gz into.*MOCHA_DATA"):
        download_cifar10(tmp_path)


@pytest.mark.data
def test_the_real_one(tmp_path):
    from mocha.caffe import read_mean

    found = find_cifar10()
    if found is None:
        pytest.skip("CIFAR-10 is not here: set MOCHA_DATA to the directory with its binary version")
    convert_cifar10(found, tmp_path)
    with h5py.File(tmp_path / "train.hdf5") as file:
        assert file["data"].shape == (50000, 3, 32, 32)
        assert np.bincount(file["label"][:, 0].astype(int)).tolist() == [5000] * 10
    theirs = (found if found.is_dir() else found.parent) / "mean.binaryproto"
    if not theirs.is_file():
        pytest.skip("Caffe's mean is not beside it")
    with h5py.File(tmp_path / "mean.hdf5") as file:
        np.testing.assert_allclose(file["mean"][()], read_mean(theirs), atol=1e-4)
