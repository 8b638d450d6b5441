"""The verbs of a Mocha script do what the methods do, and `from mocha import *` has them all."""

import h5py
import numpy as np
import pytest

import mocha
from mocha import *  # noqa: F403
from mocha import (
    AsyncHDF5DataLayer,
    DefaultBackend,
    DropoutLayer,
    HDF5DataLayer,
    InnerProductLayer,
    MemoryDataLayer,
    Net,
    SquareLossLayer,
    StateError,
)

X = np.random.default_rng(0).standard_normal((6, 3))
IP = InnerProductLayer(name="ip", output_dim=2, bottoms=["data"], tops=["ip"])
LAYERS = [
    MemoryDataLayer(data=[X, X[:, :2]], batch_size=3),
    IP,
    DropoutLayer(name="drop", bottoms=["ip"]),
    SquareLossLayer(name="loss", bottoms=["ip", "label"]),
]


@pytest.fixture
def backend():
    with DefaultBackend() as backend:
        yield backend


def test_all_names_are_there():
    assert len(set(mocha.__all__)) == len(mocha.__all__)
    for name in mocha.__all__:
        assert globals()[name] is getattr(mocha, name)


def test_verbs(backend):
    mocha.init(backend)
    net, other = Net("a", backend, LAYERS), Net("b", backend, LAYERS)
    mocha.init(net)
    weight = net.params["ip"]["weight"]
    assert np.any(weight)
    assert mocha.forward(net) == other.forward()
    mocha.backward(net)
    other.backward()
    np.testing.assert_array_equal(net.gradients["ip___weight"], other.gradients["ip___weight"])
    assert mocha.forward_backward(net) == other.forward_backward()
    assert mocha.forward_epoch(net) == other.forward_epoch()
    mocha.freeze(net, "ip")
    assert net.is_frozen("ip")
    mocha.unfreeze(net, "ip")
    assert not net.is_frozen("ip")
    mocha.freeze_all(net)
    assert net.trainable() == []
    mocha.unfreeze_all(net)
    assert len(net.trainable()) == 2
    mocha.destroy(net)
    with pytest.raises(StateError):
        net.forward()
    np.testing.assert_array_equal(other.params["ip"]["weight"], weight)
    mocha.registry_reset(backend)
    assert list(backend.registry) == []
    mocha.shutdown(backend)
    with pytest.raises(StateError, match="was shut down"):
        mocha.init(backend)


def test_nets_and_backends_are_context_managers():
    with DefaultBackend() as backend, Net("a", backend, LAYERS) as net:
        net.forward()
    assert backend.closed
    with pytest.raises(StateError):
        net.forward()


@pytest.mark.parametrize("kind", [HDF5DataLayer, AsyncHDF5DataLayer])
@pytest.mark.parametrize("shuffle", [False, True])
def test_data_from_files(backend, tmp_path, kind, shuffle):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"], file["label"] = X, X[:, :2]
    (tmp_path / "list.txt").write_text("a.h5\n")
    layer = kind(name="files", source=tmp_path / "list.txt", batch_size=4, shuffle=shuffle)
    memory = MemoryDataLayer(name="files", data=[X, X[:, :2]], batch_size=4, shuffle=shuffle)
    net, expected = Net("a", backend, [layer, *LAYERS[1:]]), Net("b", backend, [memory, *LAYERS[1:]])
    seen = []
    for _ in range(5):
        assert net.forward() == expected.forward()
        seen.append(net.blobs["data"])
        np.testing.assert_array_equal(seen[-1], expected.blobs["data"])
        assert net.epoch == expected.epoch
    rows = np.concatenate(seen)[:18].reshape(3, 6, 3)  # three epochs, over batches of 4
    for epoch in rows:
        np.testing.assert_array_equal(np.sort(epoch, axis=0), np.sort(X, axis=0))
    assert np.array_equal(rows[0], rows[1]) is not shuffle
    net.close()
