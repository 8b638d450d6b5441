"""Arrays in messages; weights, states and means in their files."""

from __future__ import annotations

import contextlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mocha.caffe.blobs import blob_array, blob_shape, fill_blob, fit_array, flat_values
from mocha.caffe.nets import parse_net
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.states import SolverState, read_mean, read_state, write_mean, write_state
from mocha.caffe.weights import read_weights, read_weights_net, write_weights
from mocha.errors import ConfigError, FormatError, ShapeError

arrays = hnp.arrays(st.sampled_from([np.float32, np.float64]), hnp.array_shapes(min_dims=0, max_dims=5, max_side=3))
layer_names = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0/."), min_size=1, max_size=6)


def assert_same(got, expected):
    assert list(got) == list(expected)
    for name in expected:
        assert len(got[name]) == len(expected[name])
        for one, two in zip(got[name], expected[name], strict=True):
            assert one.dtype == two.dtype
            np.testing.assert_array_equal(one, two)


@settings(max_examples=100, deadline=None)
@given(arrays)
def test_arrays_survive_blobs(array):
    blob = caffe_pb2.BlobProto()
    fill_blob(blob, array, diff=-array)
    blob = caffe_pb2.BlobProto.FromString(blob.SerializeToString())
    assert blob_shape(blob) == array.shape
    for got, expected in ((blob_array(blob), array), (blob_array(blob, diff=True), -array)):
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, expected)


def test_blobs_that_others_wrote():
    blob = caffe_pb2.BlobProto(channels=2, data=[1, 2, 3])
    assert blob_shape(blob) == (0, 2, 0, 0)
    assert blob_array(caffe_pb2.BlobProto(data=[5])).shape == ()
    both = caffe_pb2.BlobProto(data=[1], double_data=[2])
    assert blob_array(both) == 2
    np.testing.assert_array_equal(flat_values(blob), [1, 2, 3])


@pytest.mark.parametrize(
    ("kind", "dtype", "result"),
    [("FLOAT16", "<f2", "f4"), ("FLOAT", "<f4", "f4"), ("DOUBLE", "<f8", "f8"), ("INT", "<i4", "f4")],
)
def test_raw_values(kind, dtype, result):
    values = np.array([1, -2, 3], dtype)
    blob = caffe_pb2.BlobProto(raw_data_type=caffe_pb2.Type.Value(kind), raw_data=values.tobytes(), shape={"dim": [3]})
    assert blob_array(blob).dtype == np.dtype(result)
    np.testing.assert_array_equal(blob_array(blob), values)
    blob.raw_data += b"x"
    with pytest.raises(FormatError, match="no whole number"):
        blob_array(blob, "w")


@pytest.mark.parametrize(
    "blob",
    [
        caffe_pb2.BlobProto(data=[1, 2], shape={"dim": [3]}),
        caffe_pb2.BlobProto(data=[1, 2], shape={"dim": [-1, -2]}),
        caffe_pb2.BlobProto(data=[1], shape={"dim": [1] * 33}),
        caffe_pb2.BlobProto(shape={"dim": [2**62, 4]}),
        caffe_pb2.BlobProto(shape={"dim": []}),
        caffe_pb2.BlobProto(num=-1, channels=-1, height=1, width=1, data=[1]),
    ],
)
def test_shapes_that_are_not_the_values_are_refused(blob):
    with pytest.raises(FormatError, match="layer 'x', blob 0"):
        blob_array(blob, "layer 'x', blob 0")


def test_fitting_old_shapes():
    array = np.zeros((1, 1, 2, 3))
    assert fit_array(array, (2, 3), "w").shape == (2, 3)
    assert fit_array(array, (1, 2, 3), "w").shape == (1, 2, 3)
    assert fit_array(np.zeros((1, 1, 1, 3)), (3,), "w").shape == (3,)
    assert fit_array(np.zeros((1, 1, 1, 1)), (), "w").shape == ()
    for array_shape, shape in (((1, 1, 2, 3), (3, 2)), ((2, 1, 1, 3), (6,)), ((1, 2), (2,)), ((1, 1, 1, 2, 3), (2, 3))):
        with pytest.raises(ShapeError, match="ip, blob 0: the file has shape"):
            fit_array(np.zeros(array_shape), shape, "ip, blob 0")


@pytest.mark.parametrize("name", ["w.caffemodel", "w.caffemodel.h5"])
def test_weights_survive(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("weights")

    @settings(max_examples=30, deadline=None)
    @given(st.dictionaries(layer_names, st.lists(arrays, min_size=1, max_size=3), min_size=1, max_size=3))
    def survive(weights):
        write_weights(folder / name, weights)
        got = read_weights(folder / name)
        assert_same({key: got[key] for key in weights}, weights)
        assert len(got) == len(weights)

    survive()


def test_definitions_are_written_with_the_weights(tmp_path):
    net = parse_net('name: "n" layer { name: "d" type: "Input" top: "x" } layer { name: "ip" type: "InnerProduct" }')
    weights = {"ip": [np.ones((2, 3), np.float32), np.zeros(2, np.float32)]}
    diffs = {"ip": [np.full((2, 3), 2, np.float32)]}
    write_weights(tmp_path / "w.caffemodel", weights, net, diffs)
    got = read_weights_net(tmp_path / "w.caffemodel")
    assert (got.name, [layer.type for layer in got.layer]) == ("n", ["Input", "InnerProduct"])
    np.testing.assert_array_equal(blob_array(got.layer[1].blobs[0], diff=True), diffs["ip"][0])
    assert not net.layer[1].blobs
    write_weights(tmp_path / "w.h5", weights, net, diffs)
    with h5py.File(tmp_path / "w.h5") as file:
        assert sorted(file["data"]) == ["d", "ip"]
        assert sorted(file["data/ip"]) == ["0", "1"]
        assert file["data/ip/0"].dtype == np.float32
        assert list(file["diff/ip"]) == ["0"]
    with pytest.raises(ConfigError, match="'other'"):
        write_weights(tmp_path / "x", {"other": []}, net)


def test_names_with_slashes_and_blobs_that_others_own(tmp_path):
    weights = {"inception_3a/1x1": [None, np.ones(2, np.float32)], "inception_3a": [np.zeros(1, np.float32)]}
    write_weights(tmp_path / "w.h5", weights)
    got = read_weights(tmp_path / "w.h5")
    assert got["inception_3a/1x1"][0] is None
    np.testing.assert_array_equal(got["inception_3a/1x1"][1], [1, 1])
    assert got["inception_3a"][0].shape == (1,)
    with pytest.raises(ConfigError, match="blob 0 is None"):
        write_weights(tmp_path / "w.caffemodel", weights)
    assert not (tmp_path / "w.caffemodel").exists()


@pytest.mark.parametrize("name", ["", "a//b", ".", "a\0b", "a/./b"])
def test_names_that_hdf5_has_not(tmp_path, name):
    with pytest.raises(ConfigError, match="HDF5"):
        write_weights(tmp_path / "w.h5", {name: [np.zeros(1)]})
    with pytest.raises(ConfigError, match="HDF5"):
        write_weights(tmp_path / "w.h5", {"a": [np.zeros(1)], "a/0": [np.zeros(1)]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["data/ip/x", "data/0", "data/ip/1000", "data/ip/-1", "other", "data"])
def test_hdf5_files_of_other_shape_are_refused(tmp_path, path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file[path] = np.zeros(2)
    with pytest.raises(FormatError, match="Caffe"):
        read_weights(tmp_path / "w.h5")


def test_links_out_of_a_weights_file_are_not_followed(tmp_path):
    write_weights(tmp_path / "secret.h5", {"ip": [np.ones(3)]})
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["data"] = h5py.ExternalLink("secret.h5", "/data")
    with pytest.raises(FormatError, match="'data'"):
        read_weights(tmp_path / "w.h5")


def test_weights_that_are_something_else(tmp_path):
    place = tmp_path / "w.caffemodel"
    place.write_text('layer { name: "a" }')
    with pytest.raises(FormatError, match="found text"):
        read_weights(place)
    place.write_bytes(b"\x98\x06\x01")
    with pytest.raises(FormatError, match="without layers"):
        read_weights(place)
    with pytest.raises(FormatError, match="no such file"):
        read_weights(tmp_path / "none")


@pytest.mark.parametrize("name", ["s.solverstate", "s.solverstate.h5"])
@pytest.mark.parametrize("learned", ["folder/w.caffemodel", ""])
def test_states_survive(tmp_path, name, learned):
    history = [np.ones((2, 3), np.float32), np.zeros((), np.float32), np.arange(4.0)] + [np.ones(1, np.float32)] * 9
    write_state(tmp_path / name, SolverState(25, learned, history, 3))
    got = read_state(tmp_path / name)
    assert (got.iteration, got.learned_net, got.current_step) == (25, learned, 3)
    assert_same({"h": got.history}, {"h": history})


def test_states_that_are_none(tmp_path):
    place = tmp_path / "s.solverstate"
    place.write_bytes(caffe_pb2.SolverState(learned_net="w").SerializeToString())
    with pytest.raises(FormatError, match="no iteration"):
        read_state(place)
    write_state(tmp_path / "s.h5", SolverState(1, "w", [np.ones(1)] * 3))
    with h5py.File(tmp_path / "s.h5", "a") as file:
        del file["history/1"]
    with pytest.raises(FormatError, match="'/history/1' of 2"):
        read_state(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "a") as file:
        del file["iter"]
    with pytest.raises(FormatError, match=r"iter|history"):
        read_state(tmp_path / "s.h5")


def test_means_survive(tmp_path):
    mean = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    write_mean(tmp_path / "m.binaryproto", mean)
    np.testing.assert_array_equal(read_mean(tmp_path / "m.binaryproto"), mean)
    blob = caffe_pb2.BlobProto.FromString((tmp_path / "m.binaryproto").read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 2, 4)
    with pytest.raises(ShapeError):
        write_mean(tmp_path / "m", mean[0])
    (tmp_path / "m").write_bytes(caffe_pb2.BlobProto(data=[1], shape={"dim": [1]}).SerializeToString())
    with pytest.raises(FormatError, match="one image"):
        read_mean(tmp_path / "m")


@pytest.mark.parametrize("reader", [read_weights, read_state, read_mean])
def test_damaged_files_are_refused(tmp_path_factory, reader):
    folder = tmp_path_factory.mktemp("damage")
    write_weights(folder / "a", {"ip": [np.ones((2, 3), np.float32)]})
    write_state(folder / "b", SolverState(1, "w", [np.ones(3, np.float32)]))
    write_weights(folder / "c.h5", {"ip": [np.ones((2, 3), np.float32)]})
    write_state(folder / "d.h5", SolverState(1, "w", [np.ones(3, np.float32)]))
    sources = [place.read_bytes() for place in sorted(folder.iterdir())]

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(sources), st.floats(0, 1), st.binary(max_size=4), st.booleans())
    def refused(data, where, put, cut):
        at = int(where * len(data))
        (folder / "x").write_bytes(data[:at] + put + (b"" if cut else data[at + len(put) :]))
        with contextlib.suppress(FormatError):
            reader(folder / "x")

    refused()


def test_half_precision_of_opencv(shared):
    folder = shared / "models" / "hyperlpr_finemapping"
    full = read_weights(folder / "weights.caffemodel")
    half = read_weights(folder / "weights_opencv_fp16.caffemodel")
    assert list(full) == list(half)
    for name, blobs in full.items():
        for one, two in zip(blobs, half[name], strict=True):
            assert two.dtype == np.float32
            np.testing.assert_allclose(two, one, rtol=2**-11, atol=2**-24)


def test_all_shared_weights_and_states_read(shared):
    sizes = {"lenet_mnist": 431080, "squeezenet_v1.0_deepcompressed": 1248424, "mtcnn_det1": 6632}
    for place in shared.glob("models/*/weights*.caffemodel"):
        weights = read_weights(place)
        assert sizes.get(place.parent.name, 0) in (0, sum(a.size for blobs in weights.values() for a in blobs))
    states = sorted(shared.glob("solvers/*/*.solverstate*"))
    assert len(states) == 5
    for place in states:
        state = read_state(place)
        assert state.iteration == 25
        weights = read_weights(shared / "solvers" / state.learned_net)
        shapes = [blob.shape for blobs in weights.values() for blob in blobs]
        assert len(state.history) % len(shapes) == 0
        assert sorted(shapes) == sorted(array.shape for array in state.history[: len(shapes)])
