from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.data.cifar import raw_files, write_archive, write_folder

from mocha.caffe import write_mean

# -- images


@pytest.fixture
def classes(tmp_path):
    pytest.importorskip("PIL", reason="needs Pillow, of the extra [images]")
    from tests.data.pictures import write_classes

    return write_classes(tmp_path / "photos", {"cat": 5, "dog": 5})


def test_images(mocha, classes):
    words = ["convert", "images", classes, "--out", "sets", "--size", "4x6", "--test-share", 0.2, "--per-file", 3]
    output = mocha(*words, "--mean")
    assert output.splitlines() == [
        "Wrote sets/train-data-list.txt: 8 images in 3 files",
        "Wrote sets/test-data-list.txt: 2 images in 1 file",
        "Wrote sets/classes.txt",
        "Wrote sets/mean.hdf5",
        "2 classes: cat, dog",
        "Done: 10 images, 4 files made.",
    ]
    with h5py.File("sets/train-00002.hdf5") as file:
        assert file["data"].shape == (2, 3, 4, 6)
    assert mocha(*words).endswith("Done: 10 images, all files were finished by an earlier run.\n")
    output = mocha(*words, "--grey", fails=1)
    assert output.startswith("Error: sets/")
    assert "--overwrite" in output
    mocha(*words, "--grey", "--overwrite", "--channel-order", "bgr", "--fit", "pad")
    with h5py.File("sets/train-00000.hdf5") as file:
        assert file["data"].shape == (3, 1, 4, 6)


def test_damaged_images(mocha, classes):
    (classes / "cat" / "000.png").write_bytes(b"x")
    words = ["convert", "images", classes, "--out", "sets"]
    assert "cat/000.png: no image can be read" in mocha(*words, fails=1)
    output = mocha(*words, "--damaged", "skip", "--workers", 2)
    assert "Skipped 1 image that cannot be read, see skipped.txt\n" in output


def test_lists_and_tables(mocha, classes, tmp_path):
    names = sorted(str(path.relative_to(classes)) for path in classes.rglob("*.png"))
    listing, table = tmp_path / "list.txt", tmp_path / "table.csv"
    listing.write_text("".join(f"{name} {number % 3}\n" for number, name in enumerate(names)))
    table.write_text("file,x,y,part\n" + "".join(f"{name},0.5,{n},train\n" for n, name in enumerate(names)))
    mocha("convert", "images", listing, "--root", classes, "--out", "l", "--no-shuffle", "--split", "val")
    with h5py.File("l/val-00000.hdf5") as file:
        assert file["label"][:, 0].tolist() == [number % 3 for number in range(10)]
    columns = ["--image-column", "file", "--label-column", "y", "--label-column", "x", "--split-column", "part"]
    mocha("convert", "images", table, "--root", classes, "--out", "t", "--no-shuffle", *columns)
    with h5py.File("t/train-00000.hdf5") as file:
        assert file["label"][3].tolist() == [3, 0.5]


def test_classes_of_another_conversion(mocha, classes, tmp_path):
    (tmp_path / "val.txt").write_text("dog/000.png dog\n")
    mocha("convert", "images", classes, "--out", "sets")
    words = ["convert", "images", tmp_path / "val.txt", "--root", classes, "--out", "sets", "--split", "val"]
    assert "--classes classes.txt" in mocha(*words, fails=1)
    mocha(*words, "--classes", "sets/classes.txt")
    with h5py.File("sets/val-00000.hdf5") as file:
        assert file["label"][()].tolist() == [[1]]
    assert "expected the names of classes" in mocha(*words, "--classes", "none.txt", fails=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "0x4"], "expected height x width"),
        (["--size", "-3"], "expected height x width"),
        (["--per-file", 0], "0 is not in the range"),
        (["--fit", "shrink"], "'shrink' is not one of"),
        (["--channel-order", "hsv"], "'hsv' is not one of"),
    ],
)
def test_options_that_cannot_be(mocha, classes, words, message):
    assert message in mocha("convert", "images", classes, "--out", "sets", *words, fails=2)


def test_missing_sources(mocha):
    assert "none: there is no such file or folder" in mocha("convert", "images", "none", "--out", "x", fails=1)
    assert "none.csv: there is no such file" in mocha("convert", "csv", "none.csv", "--out", "x", fails=1)
    assert "none.hdf5: there is no such file" in mocha("convert", "mean", "none.hdf5", "x.hdf5", fails=1)
    assert "does not hold CIFAR-10" in mocha("convert", "cifar10", "--data", "none", fails=1)
    assert "CIFAR-10 was not found. Give its folder with --data" in mocha("convert", "cifar10", fails=1)


def test_the_progress_bar_needs_a_terminal(classes, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "TERM": "xterm"}
    words = [sys.executable, "-m", "mocha", "convert", "images", str(classes), "--out"]
    quiet = subprocess.run([*words, str(tmp_path / "a")], capture_output=True, text=True, env=environment)
    assert quiet.stderr == ""
    assert quiet.stdout.endswith("Done: 10 images, 1 file made.\n")
    ours, theirs = pty.openpty()
    shown = subprocess.run([*words, str(tmp_path / "b")], stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    bar = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert shown.returncode == 0
    assert "Converting" in bar
    assert "10/10" in bar


# -- tables


def test_csv(mocha, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("".join(f"{n};{n % 2};{n + 1}\n" for n in range(12)))
    words = ["convert", "csv", table, "--no-header", "--delimiter", "semicolon", "--scale", 0.5, "--no-shuffle"]
    assert "no column is called 'label'" in mocha(*words, "--out", "x", fails=1)
    output = mocha(*words, "--out", "sets", "--label-column", 1, "--shape", "2,1", "--per-file", 6)
    assert "Wrote sets/train-data-list.txt: 12 samples in 2 files\n" in output
    with h5py.File("sets/train-00001.hdf5") as file:
        assert file["data"][0].tolist() == [[3.0], [3.5]]
        assert file["label"][:, 0].tolist() == [0, 1, 0, 1, 0, 1]
    mocha(*words, "--out", "bare", "--no-label")
    with h5py.File("bare/train-00000.hdf5") as file:
        assert "label" not in file
    assert "exclude each other" in mocha(*words, "--out", "x", "--no-label", "--label-column", "0", fails=2)
    assert "expected whole numbers" in mocha(*words, "--out", "x", "--shape", "a", fails=2)
    assert "delimiter is '||'" in mocha("convert", "csv", table, "--out", "x", "--delimiter", "||", fails=1)


# -- means


def test_mean(mocha, tmp_path):
    data = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    with h5py.File("x.hdf5", "w") as file:
        file["data"] = data
    assert mocha("convert", "mean", "x.hdf5", "m.hdf5") == "Wrote m.hdf5: the mean 3x2x2, from 6 to 17\n"
    with h5py.File("m.hdf5") as file:
        np.testing.assert_array_equal(file["mean"][()], data.mean(axis=0))
    assert "m.hdf5 is there already" in mocha("convert", "mean", "x.hdf5", "m.hdf5", fails=1)


def test_the_mean_of_caffe(mocha):
    mean = np.random.default_rng(0).random((3, 4, 5), dtype=np.float32)
    write_mean("m.binaryproto", mean)
    mocha("convert", "mean", "m.binaryproto", "m.hdf5")
    with h5py.File("m.hdf5") as file:
        np.testing.assert_array_equal(file["mean"][()], mean)
    assert "there already" in mocha("convert", "mean", "m.binaryproto", "m.hdf5", fails=1)
    with open("bad.binaryproto", "wb") as raw:
        raw.write(b"\xff" * 50)
    mocha("convert", "mean", "bad.binaryproto", "m.hdf5", "--overwrite", fails=1)
    with h5py.File("m.hdf5") as file:
        np.testing.assert_array_equal(file["mean"][()], mean)


def test_the_mean_is_not_written_over_its_source(mocha, tmp_path):
    with h5py.File("x.hdf5", "w") as file:
        file["data"] = np.ones((2, 3))
    write_mean("m.binaryproto", np.ones((3, 4, 5), np.float32))
    for name in ("x.hdf5", "m.binaryproto"):
        before = Path(name).read_bytes()
        assert "it would be lost" in mocha("convert", "mean", name, name, "--overwrite", fails=1)
        assert Path(name).read_bytes() == before


# -- MNIST


def test_mnist(mocha, digits, tmp_path):
    words = ["convert", "mnist", "--data", digits, "--out", "sets"]
    assert mocha(*words).splitlines() == [
        f"Reading {digits}",
        "Wrote sets/train-data-list.txt: 128 images in 1 file",
        "Wrote sets/test-data-list.txt: 100 images in 1 file",
        "Done: 228 images, 2 files made.",
    ]
    assert "all files were finished by an earlier run" in mocha(*words)
    assert "--overwrite" in mocha(*words, "--seed", 3, fails=1)
    mocha(*words, "--seed", 3, "--overwrite")
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "mnist").symlink_to(digits, target_is_directory=True)
    assert mocha("convert", "mnist", "--data", tmp_path / "up", "--out", "two").startswith(
        f"Reading {tmp_path}/up/mnist"
    )
    assert "does not hold MNIST" in mocha("convert", "mnist", "--data", tmp_path, "--out", "three", fails=1)


def test_download_where_the_folder_has_no_set(mocha, tmp_path, digits, monkeypatch):
    pooch = pytest.importorskip("pooch")

    def retrieve(url, known_hash, fname, path, downloader):
        if fname.startswith("cifar"):
            write_archive(path / fname, raw_files(1))
        else:
            (path / fname).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(digits / fname, path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    for name in ("mnist", "cifar10"):
        output = mocha("convert", name, "--data", tmp_path / "work", "--download", "--out", name)
        assert output.startswith(f"Reading {tmp_path}/cache/mocha/{name}")


# -- names


def test_class_names_that_are_no_utf8(mocha, tmp_path):
    pytest.importorskip("PIL", reason="needs Pillow, of the extra [images]")
    from tests.data.pictures import write_classes

    photos = write_classes(tmp_path / "photos", {os.fsdecode(b"caf\xe9"): 2, "tea": 2})
    words = ["convert", "images", photos, "--out", "sets"]
    assert "2 classes: caf\\udce9, tea\n" in mocha(*words)
    mocha(*words, "--classes", "sets/classes.txt")
    (tmp_path / "gap.txt").write_text("a\n\nb\n")
    assert "gap.txt: line 2 is empty" in mocha(*words, "--classes", tmp_path / "gap.txt", fails=1)


# -- CIFAR-10


def test_cifar10(mocha, tmp_path, monkeypatch):
    archive = write_archive(tmp_path / "d" / "cifar10" / "cifar-10-binary.tar.gz", raw_files(2))
    monkeypatch.setenv("MOCHA_DATA", str(tmp_path / "d"))
    output = mocha("convert", "cifar10", "--out", "sets")
    assert output.startswith(f"Reading {archive}\n")
    assert "Wrote sets/train-data-list.txt: 10 images in 1 file\n" in output
    assert "10 classes: airplane, automobile," in output
    assert "all files were finished by an earlier run" in mocha("convert", "cifar10", "--out", "sets")
    assert "--overwrite" in mocha("convert", "cifar10", "--out", "sets", "--seed", 4, fails=1)
    mocha("convert", "cifar10", "--out", "sets", "--seed", 4, "--overwrite")
    folder = write_folder(tmp_path / "files", raw_files(2))
    mocha("convert", "cifar10", "--data", folder, "--out", "other")


def test_cifar10_for_python(mocha, tmp_path):
    write_folder(tmp_path / "py", {"data_batch_1": b"pickle"})
    assert "expected the binary version, cifar-10-binary.tar.gz" in mocha(
        "convert", "cifar10", "--data", tmp_path / "py", fails=1
    )  # fmt: skip


def test_cifar10_downloaded(mocha, tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")

    def retrieve(url, known_hash, fname, path, downloader):
        write_archive(path / fname, raw_files(1))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert mocha("convert", "cifar10", "--download").startswith(f"Reading {tmp_path}/cache/mocha/cifar10/cifar-10")
