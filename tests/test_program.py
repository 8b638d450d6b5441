"""The program of the tutorial, as it stands in examples/mnist/mnist.py, on data of all sizes."""

import logging
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocha import FormatError, read_statistics
from mocha.data import find_mnist, write_digits
from mocha.data.converters.mnist import convert_mnist
from mocha.io import read_model, read_snapshot

PROGRAM = Path(__file__).parents[1] / "examples" / "mnist" / "mnist.py"


def run(**changes):
    """Run the program in the working directory, with other numbers in some places; gives its names."""
    text = PROGRAM.read_text(encoding="utf-8")
    for old, new in changes.items():
        name, _, number = old.rpartition("_")
        pattern = rf"\b{name}={number}\b"
        assert re.search(pattern, text), f"{PROGRAM.name} has no {name}={number} any more"
        text = re.sub(pattern, f"{name}={new}", text)
    names = {"__name__": "__main__"}
    exec(compile(text, PROGRAM, "exec"), names)
    return names


def digits(n, seed):
    """Easy ones: a class is where the bright bar lies."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n).astype(np.uint8)
    images = rng.integers(0, 60, (n, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 + 2 * label : 7 + 2 * label, 4:24] += 190
    return images, labels


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train, test = digits(300, 0), digits(100, 1)
    names = ("train_images", "train_labels", "test_images", "test_labels")
    write_digits(dict(zip(names, (*train, *test), strict=True)), tmp_path)
    return tmp_path


SHORT = {"max_iter_10000": 25, "every_n_iter_100": 5, "every_n_iter_1000": 25, "every_n_iter_5000": 10}


def test_the_tutorial(small, caplog):
    caplog.set_level(logging.INFO, "mocha")
    names = run(**SHORT)
    lines = [record.getMessage() for record in caplog.records]
    told = [line for line in lines if line.startswith(" TRAIN iter=")]
    assert [line[:18] for line in told] == [f" TRAIN iter={i:06d}" for i in range(0, 26, 5)]
    assert "## Performance on Validation Set after 25 iterations" in lines
    assert any(re.fullmatch(r"   test-accuracy: accuracy \(avg over 100\) = \d+\.\d{4}%", line) for line in lines)
    statistics = read_statistics(small / "snapshots" / "statistics.h5")
    assert set(statistics) == {"obj_val", "test-accuracy-accuracy"}
    assert set(statistics["obj_val"]) == set(range(0, 26, 5))
    assert statistics["test-accuracy-accuracy"][25] > 0.9 > statistics["test-accuracy-accuracy"][0]
    found = sorted(path.name for path in (small / "snapshots").glob("snapshot-*"))
    assert found == [f"snapshot-0000{n}.h5" for n in ("00", "10", "20")]
    last = read_snapshot(small / "snapshots" / "snapshot-000020.h5")
    assert last.positions == {"train-data": 20}
    assert {key: array.shape for key, array in read_model(small / "snapshots" / "snapshot-000020.h5").items()} == {
        "conv1___filter": (20, 1, 5, 5),
        "conv1___bias": (20,),
        "conv2___filter": (50, 20, 5, 5),
        "conv2___bias": (50,),
        "ip1___weight": (500, 800),
        "ip1___bias": (500,),
        "ip2___weight": (10, 500),
        "ip2___bias": (10,),
    }
    assert names["backend"].closed


def test_the_tutorial_run_again_goes_on(small, caplog):
    caplog.set_level(logging.INFO, "mocha")
    run(**{**SHORT, "max_iter_10000": 10})
    caplog.clear()
    run(**{**SHORT, "max_iter_10000": 12})
    assert "snapshot-000010.h5, going on from iteration 10." in caplog.text
    assert "iter=000000" not in caplog.text


def test_labels_that_are_no_classes(small):
    with h5py.File(small / "train.hdf5", "r+") as file:
        file["label"][70] = 10
    with pytest.raises(FormatError, match=r"layer 'loss': label 6 of the batch is 10.0; expected .* from 0 to 9"):
        run(**SHORT)


@pytest.mark.slow
@pytest.mark.data
def test_mnist(tmp_path, monkeypatch):
    directory = find_mnist()
    if directory is None:
        pytest.skip("MNIST is not here: put its four files into a folder and set MOCHA_DATA to it")
    convert_mnist(directory, tmp_path)
    monkeypatch.chdir(tmp_path)
    run(max_iter_10000=2000, every_n_iter_5000=2000)
    accuracy = read_statistics(tmp_path / "snapshots" / "statistics.h5")["test-accuracy-accuracy"]
    assert list(accuracy) == [0, 1000, 2000]
    assert accuracy[0] < 0.3
    assert accuracy[2000] >= 0.98
