"""Layers that hand blobs out: in memory and to HDF5 files, in training, testing and under a solver."""

import h5py
import numpy as np
import pytest

from mocha import (
    SGD,
    ConfigError,
    HDF5OutputLayer,
    InnerProductLayer,
    MemoryDataLayer,
    MemoryOutputLayer,
    Net,
    Predictor,
    Solver,
    SquareLossLayer,
    StateError,
    TopologyError,
    make_solver_parameters,
)
from mocha.backends import NumpyBackend

X = np.arange(24, dtype=np.float64).reshape(6, 4) / 10


@pytest.fixture
def backend():
    with NumpyBackend() as backend:
        yield backend


def layers(*more):
    return [
        MemoryDataLayer(name="data", data=[X, X[:, :2]], batch_size=2),
        InnerProductLayer(name="ip", output_dim=2, bottoms=["data"], tops=["ip"]),
        SquareLossLayer(name="loss", bottoms=["ip", "label"]),
        *more,
    ]


def test_memory_keeps_each_pass(backend):
    with Net("n", backend, layers(MemoryOutputLayer(bottoms=["ip", "data"]))) as net:
        seen = []
        for phase in ("train", "test", "test"):
            net.forward(phase=phase)
            seen.append(net.blobs["ip"])
        outputs, data = net.outputs("memory-output")
        np.testing.assert_array_equal(outputs, seen)
        np.testing.assert_array_equal(np.concatenate(data), X)
        net.reset_outputs()
        assert net.outputs("memory-output") == [[], []]
        net.rewind()
        net.forward_epoch()
        assert len(net.outputs("memory-output")[0]) == 3
        Predictor(net, "ip")(X)
        assert len(net.outputs("memory-output")[0]) == 3


def test_under_a_solver_memory_is_reused_but_not_theirs(backend):
    with Net("n", backend, layers(MemoryOutputLayer(name="out", bottoms=["ip"]))) as net:
        method = SGD()
        Solver(method, make_solver_parameters(method, max_iter=4)).solve(net)
        found = np.concatenate(net.outputs("out")[0])
        assert found.shape == (10, 2)  # the pass before the first update, and one after each
        assert np.isfinite(found).all()
        assert np.any(found[:2] != found[6:8])  # the same data, other parameters


def test_a_file_with_all_batches(backend, tmp_path):
    path = tmp_path / "deep" / "out.hdf5"
    out = HDF5OutputLayer(filename=path, bottoms=["data", "ip"], datasets=["x", "scores"])
    with Net("n", backend, layers(out, MemoryOutputLayer(bottoms=["ip"]))) as net:
        net.forward_epoch()
        assert not path.exists()
        expected = np.concatenate(net.outputs("memory-output")[0])
    with h5py.File(path) as file:
        assert set(file) == {"x", "scores"}
        np.testing.assert_array_equal(file["x"], X)
        np.testing.assert_array_equal(file["scores"], expected)
        assert file["x"].chunks == (2, 4)
    assert [p.name for p in path.parent.iterdir()] == ["out.hdf5"]


def test_a_file_that_is_there_stays(backend, tmp_path):
    path = tmp_path / "out.hdf5"
    path.write_bytes(b"precious")
    with pytest.raises(ConfigError, match=r"HDF5OutputLayer\('hdf5-output'\): the file .*out.hdf5 is there"):
        Net("n", backend, layers(HDF5OutputLayer(filename=path, bottoms=["ip"])))
    assert path.read_bytes() == b"precious"
    with Net("n", backend, layers(HDF5OutputLayer(filename=path, bottoms=["ip"], force_overwrite=True))) as net:
        net.forward()
        assert path.read_bytes() == b"precious"
    with h5py.File(path) as file:
        assert file["ip"].shape == (2, 2)


def test_a_folder_that_cannot_be_written_is_told(backend, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        Net("n", backend, layers(HDF5OutputLayer(filename=tmp_path / "file" / "out.hdf5", bottoms=["ip"])))


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"filename": ""}, "filename is ''"),
        ({"filename": 3}, "filename is 3"),
        ({"filename": "f", "datasets": ["a", "b"]}, "1 distinct names"),
        ({"filename": "f", "datasets": "a"}, "a list of names"),
        ({"filename": "f", "datasets": [""]}, "a list of names"),
    ],
)
def test_wrong_properties(properties, message):
    with pytest.raises(ConfigError, match=message):
        HDF5OutputLayer(bottoms=["ip"], **properties)


def test_names(backend, tmp_path):
    with pytest.raises(TopologyError, match="two layers are named 'memory-output'"):
        Net("n", backend, layers(MemoryOutputLayer(bottoms=["ip"]), MemoryOutputLayer(bottoms=["data"])))
    out = HDF5OutputLayer(name="file", filename=tmp_path / "f", bottoms=["ip"])
    with Net("n", backend, layers(MemoryOutputLayer(bottoms=["ip"]), out)) as net:
        with pytest.raises(StateError, match=r"no output layer 'memory'.*memory-output"):
            net.outputs("memory")
        with pytest.raises(StateError, match="keeps nothing in memory"):
            net.outputs("file")
