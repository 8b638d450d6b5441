from __future__ import annotations

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from mocha.errors import ConfigError, FormatError, MochaError
from mocha.io import open_hdf5, read_model, write_model
from mocha.io.hdf5 import find_dataset, quote_name, reading, unquote_name

NAMES = [
    "conv1___filter", "inception/1x1/a___bias", "ein Gerät___weight", "日本___weight", "a___b___c", "dots.in.name___w",
    "", "./x___w", "a//b___w", "/root___w", "nul\0___w", "half\ud800___w", "solver/state/x___w",
    "solver/y___w", "data/z___w",
]  # fmt: skip


def test_importing_mocha_io_does_not_import_h5py():
    script = "import sys, mocha.io, mocha.data; sys.exit('h5py' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    assert subprocess.run([sys.executable, "-c", script], env=env, check=False).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_quoted_names_come_back(name):
    quoted = quote_name(name)
    assert unquote_name(quoted) == name
    assert "/" not in quoted
    assert quoted.isascii()


def test_model_round_trip_with_difficult_names(tmp_path):
    params = {name: np.arange(i + 1, dtype=np.float32) for i, name in enumerate(n for n in NAMES if n)}
    params |= {"p___q": np.ones((2, 0), np.float64), "p___q/r___s": np.float64(3) * np.ones(())}
    write_model(tmp_path / "model.h5", params)
    again = read_model(tmp_path / "model.h5")
    assert again.keys() == params.keys()
    for name, values in params.items():
        assert again[name].dtype == values.dtype
        assert again[name].shape == values.shape
        np.testing.assert_array_equal(again[name], values)


def test_plain_names_are_plain_datasets(tmp_path):
    write_model(tmp_path / "model.h5", {"a/conv1___filter": np.ones((2, 3), np.float32)})
    with h5py.File(tmp_path / "model.h5") as file:
        assert file["a/conv1___filter"].shape == (2, 3)


def test_foreign_model(tmp_path):
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["ip1___weight"] = np.arange(6, dtype=">f4").reshape(2, 3)
        file["ip1___bias"] = np.ones((1, 3), np.float16)
        file["something else"] = np.arange(3)
        file.create_dataset("zip___weight", data=np.ones((64, 64)), compression="gzip")
    params = read_model(tmp_path / "model.h5")
    assert sorted(params) == ["ip1___bias", "ip1___weight", "zip___weight"]
    assert params["ip1___weight"].dtype == np.float32
    assert params["ip1___weight"].dtype.isnative
    np.testing.assert_array_equal(params["ip1___weight"], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"conv1": np.ones(1)}, "<layer>___<param>"),
        ({"a___b": np.arange(3)}, "int64"),
        ({"a___b": np.array("x")}, "U1"),
    ],
)
def test_write_model_refuses(tmp_path, params, message):
    with pytest.raises(ConfigError, match=message):
        write_model(tmp_path / "model.h5", params)
    assert os.listdir(tmp_path) == []


def _missing(path):
    pass


def _directory(path):
    path.mkdir()


def _text(path):
    path.write_text("conv1___filter: 1 2 3")


def _truncated(path):
    write_model(path, {"a___b": np.ones(1000)})
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_missing, ["no such file", "working directory"]),
        (_directory, ["directory"]),
        (lambda path: path.write_bytes(b""), ["empty"]),
        (_text, ["expected an HDF5 file", "conv1__"]),
        (_truncated, ["truncated", "3000 bytes"]),
    ],
)
def test_what_is_no_hdf5_file(tmp_path, make, words):
    path = tmp_path / "model.h5"
    make(path)
    with pytest.raises(FormatError) as caught, open_hdf5(path):
        pytest.fail("the file was opened")
    for word in [str(path), *words]:
        assert word in str(caught.value)


def _integers(file):
    file["a___b"] = np.arange(3)


def _strings(file):
    file["a___b"] = "text"


def _compound(file):
    file["a___b"] = np.zeros(3, [("x", "f4"), ("y", "f4")])


def _complex(file):
    file["a___b"] = np.zeros(3, complex)


def _null(file):
    file["a___b"] = h5py.Empty("f4")


def _deep(file):
    file["a___b"] = np.zeros((1,) * 9)


def _huge(file):
    file.create_dataset("a___b", (2**40, 2**10), "f4", chunks=(1024, 1024))


def _cycle(file):
    file.create_group("inner")["again"] = file["/"]
    file["inner/more"] = file["/"]


def _external_storage(file):
    file.create_dataset("a___b", (8,), "f4", external=[("/etc/hostname", 0, 32)])


def _virtual(file):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    file.create_virtual_dataset("a___b", layout)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_integers, "int64"), (_strings, "a___b"), (_compound, "a___b"), (_complex, "complex128"), (_null, "None"),
        (_deep, "8 axes"), (_huge, "claims"), (_cycle, "within itself"), (_external_storage, "other files"),
        (_virtual, "other files"),
    ],
)  # fmt: skip
def test_hostile_models_are_refused(tmp_path, make, message):
    with h5py.File(tmp_path / "model.h5", "w") as file:
        make(file)
    with pytest.raises(FormatError, match=message):
        read_model(tmp_path / "model.h5")


def test_links_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["a___b"] = np.ones(3)
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["a___b"] = h5py.ExternalLink("secret.h5", "a___b")
        file["group"] = h5py.ExternalLink("secret.h5", "/")
        file["c___d"] = h5py.SoftLink("/group/a___b")
    assert read_model(tmp_path / "model.h5") == {}
    with open_hdf5(tmp_path / "model.h5") as file:
        for path in ("a___b", "group/a___b", "c___d"):
            with pytest.raises(FormatError, match="link"):
                find_dataset(file, path)


def test_find_dataset_says_what_there_is(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"], file["group/label"] = np.ones(3), np.ones(3)
    with open_hdf5(tmp_path / "x.h5") as file:
        assert find_dataset(file, "group/label").shape == (3,)
        for path in ("dat", "data/inner", ""):
            with pytest.raises(FormatError, match=r"'data', 'group/label'"):
                find_dataset(file, path)
        with pytest.raises(FormatError, match=r"Did you mean 'data'\?"):
            find_dataset(file, "dat")
        with pytest.raises(FormatError, match=r"is a group.*'label'"):
            find_dataset(file, "group")


def test_reading_keeps_our_own_errors():
    with pytest.raises(MochaError, match="ours"), reading("x.h5"):
        raise ConfigError("ours")
    with pytest.raises(FormatError, match=r"x\.h5.*damaged.*theirs"), reading("x.h5"):
        raise OSError("theirs")
