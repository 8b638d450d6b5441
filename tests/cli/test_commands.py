import re
import sys

import h5py
import numpy as np
import pytest

import mocha as package
from mocha.backends import NumpyBackend
from mocha.errors import BackendUnavailable
from mocha.io import read_model


def test_version_and_help(mocha):
    assert mocha("--version") == f"mocha, version {package.__version__}\n"
    output = mocha("-h")
    for command in ("convert", "demo", "info", "time"):
        assert re.search(rf"^  {command} ", output, re.MULTILINE)


def test_an_unknown_command(mocha):
    assert "No such command 'brew'" in mocha("brew", fails=2)


# -- info


def test_info(mocha):
    output = mocha("info")
    assert f"mocha   {package.__version__}\n" in output
    assert re.search(r"^h5py    .* \(HDF5 .*\)$", output, re.MULTILINE)
    assert re.search(r"^PASS  numpy +NumPy ", output, re.MULTILINE)
    assert re.search(r"^(PASS|FAIL)  native +\S", output, re.MULTILINE)


def test_info_tells_why_a_backend_fails(mocha, monkeypatch):
    def describe(cls):
        raise BackendUnavailable("no numbers today.")

    monkeypatch.setattr(NumpyBackend, "describe", classmethod(describe))
    monkeypatch.setattr(sys.modules["mocha.cli.info"], "backend_types", lambda: {"numpy": NumpyBackend})
    assert "FAIL  numpy   no numbers today.\n" in mocha("info", fails=1)


def test_info_finds_a_backend_that_does_not_learn(mocha, monkeypatch):
    monkeypatch.setattr(sys.modules["mocha.cli.info"], "backend_types", lambda: {"numpy": NumpyBackend})
    monkeypatch.setattr("mocha.solvers.solver.Solver.step", lambda self, net, state: setattr(state, "iteration", 200))
    assert "a small training went wrong" in mocha("info", fails=1)


# -- convert


def test_convert_mnist(mocha, digits, tmp_path):
    output = mocha("convert", "mnist", "--data", digits, "--out", tmp_path / "out")
    assert f"Reading {digits}" in output
    for split, n in (("train", 128), ("test", 100)):
        with h5py.File(tmp_path / "out" / f"{split}.hdf5") as file:
            assert file["data"].shape == (n, 1, 28, 28)
            assert np.bincount(file["label"][...].reshape(-1).astype(int)).sum() == n
        assert (tmp_path / "out" / f"{split}-data-list.txt").exists()


def test_convert_without_data(mocha):
    assert "MNIST was not found. Give its folder with --data" in mocha("convert", "mnist", fails=1)


@pytest.mark.parametrize("command", [["convert", "mnist"], ["demo", "--offline"]])
def test_a_folder_without_the_files(mocha, tmp_path, command):
    output = mocha(*command, "--data", tmp_path, fails=1)
    assert "does not hold MNIST's four files" in output


def test_a_damaged_file(mocha, digits):
    path = digits / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:40])
    assert mocha("convert", "mnist", "--data", digits, fails=1).startswith(f"Reading {digits}\nError: ")


# -- demo


def test_demo(mocha, digits, tmp_path):
    output = mocha("demo", "--data", digits, "--iterations", 3, "-o", tmp_path / "out", "--seed", 5)
    assert "Data: MNIST, 128 to train, 100 to test." in output
    assert re.search(r"Accuracy on 100 test digits: \d+\.\d\d % after 3 iterations\.", output)
    assert "Picture: " in output or "No picture: " in output
    assert (tmp_path / "out" / "statistics.h5").exists()
    assert read_model(tmp_path / "out" / "snapshot-000003.h5")["conv1___filter"].shape == (20, 1, 5, 5)


def test_demo_on_a_named_backend(mocha, digits):
    output = mocha("demo", "--data", digits, "--iterations", 1, "--backend", "numpy")
    assert "on the numpy backend" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--iterations", 0], "0 is not in the range x>=1"),
        (["--seed", -1], "-1 is not in the range"),
        (["--backend", "abacus"], "'abacus' is not one of"),
    ],
)
def test_demo_with_wrong_words(mocha, words, message):
    assert message in mocha("demo", *words, fails=2)


def test_errors_are_one_line(mocha, digits, monkeypatch):
    monkeypatch.setenv("MOCHA_BACKEND", "abacus")
    output = mocha("demo", "--data", digits, fails=1)
    assert output.splitlines()[-1].startswith("Error: there is no backend 'abacus'.")
