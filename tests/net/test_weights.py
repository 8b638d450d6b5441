"""Parameters of a net to and from files."""

import logging

import h5py
import numpy as np
import pytest

from mocha import (
    ConstantInitializer,
    ConvolutionLayer,
    FormatError,
    InnerProductLayer,
    MemoryDataLayer,
    Net,
    load_network,
    save_network,
)
from mocha.backends import Backend
from mocha.net import network_parameters

X = np.random.default_rng(0).standard_normal((4, 2, 6, 6))
CONV = ConvolutionLayer(name="conv", n_filter=3, kernel=3, bottoms=["data"], tops=["conv"])
IP = InnerProductLayer(
    name="ip", output_dim=2, bias_init=ConstantInitializer(0.5), bottoms=["conv"], tops=["ip"]
)  # fmt: skip


@pytest.fixture
def net_of():
    backends = []

    def make(*layers, dtype=np.float32, seed=None):
        backends.append(Backend("numpy"))
        data = MemoryDataLayer(name="data", data=[X.astype(dtype)], tops=["data"], batch_size=2)
        return Net("net", backends[-1], [data, *(layers or (CONV, IP))], seed=seed)

    yield make
    for backend in backends:
        backend.shutdown()


def values(net):
    return network_parameters(net)


def same(a, b):
    assert list(a) == list(b)
    return all(np.array_equal(a[key], b[key]) for key in a)


def write(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def test_round_trip(net_of, tmp_path):
    path = tmp_path / "deep" / "model.h5"
    net, other = net_of(seed=1), net_of(seed=2)
    save_network(path, net)
    assert not same(values(net), values(other))
    load_network(path, other)
    assert same(values(net), values(other))
    with h5py.File(path) as file:
        assert sorted(file) == ["conv___bias", "conv___filter", "ip___bias", "ip___weight"]
        assert file["ip___weight"].shape == (2, 48)
        assert file["conv___filter"].dtype == np.float32
    save_network(path, net_of(seed=3))  # an old file is replaced
    load_network(str(path), other)
    assert same(values(net_of(seed=3)), values(other))


def test_loading_before_the_first_run_holds(net_of, tmp_path):
    net, other = net_of(seed=1), net_of(seed=2)
    save_network(tmp_path / "m.h5", net)
    load_network(tmp_path / "m.h5", other)
    other.forward(), other.init()
    assert same(values(net), values(other))


@pytest.mark.parametrize(("file_dtype", "net_dtype"), [(np.float64, np.float32), (np.float32, np.float64)])
def test_the_nets_type_counts(net_of, tmp_path, file_dtype, net_dtype):
    net, other = net_of(dtype=file_dtype), net_of(dtype=net_dtype, seed=2)
    save_network(tmp_path / "m.h5", net)
    load_network(tmp_path / "m.h5", other)
    for key, array in values(other).items():
        assert array.dtype == net_dtype
        np.testing.assert_array_equal(array, values(net)[key].astype(net_dtype))


@pytest.mark.parametrize(
    "reshape",
    [lambda a: a[None, None], lambda a: a[..., None, None], lambda a: a[None, ..., None], lambda a: a],
    ids=["(1, 1, ...)", "(..., 1, 1)", "(1, ..., 1)", "as it is"],
)
def test_shapes_fit_but_for_ones_at_the_ends(net_of, tmp_path, reshape):
    net, other = net_of(seed=1), net_of(seed=2)
    write(tmp_path / "m.h5", {key: reshape(array) for key, array in values(net).items()})
    load_network(tmp_path / "m.h5", other)
    assert same(values(net), values(other))


def test_a_missing_bias_keeps_its_initializer(net_of, tmp_path, caplog):
    net, other = net_of(seed=1), net_of(seed=2)
    write(tmp_path / "m.h5", {k: a for k, a in values(net).items() if k != "ip___bias"})
    with caplog.at_level(logging.WARNING, "mocha"):
        load_network(tmp_path / "m.h5", other)
    assert "there is no data set 'ip___bias'; its initializer is kept" in caplog.text
    np.testing.assert_array_equal(other.params["ip"]["bias"], [0.5, 0.5])
    np.testing.assert_array_equal(other.params["ip"]["weight"], net.params["ip"]["weight"])


def test_a_missing_weight(net_of, tmp_path, caplog):
    net, other = net_of(seed=1), net_of(seed=2)
    before = values(other)
    write(tmp_path / "m.h5", {k: a for k, a in values(net).items() if k != "ip___weight"})
    with pytest.raises(FormatError, match=r"m.h5: there is no data set 'ip___weight'; it holds conv___bias, conv___f"):
        load_network(tmp_path / "m.h5", other)
    assert same(values(other), before)
    with caplog.at_level(logging.WARNING, "mocha"):
        load_network(tmp_path / "m.h5", other, die_if_not_found=False)
    assert "no data set 'ip___weight'" in caplog.text
    np.testing.assert_array_equal(other.params["ip"]["weight"], before["ip___weight"])
    np.testing.assert_array_equal(other.params["conv"]["filter"], net.params["conv"]["filter"])


@pytest.mark.parametrize("wrong", [(48, 2), (2, 47), (96,), (2, 3, 16)])
@pytest.mark.parametrize("die", [True, False])
def test_a_wrong_shape_changes_nothing(net_of, tmp_path, wrong, die):
    net, other = net_of(seed=1), net_of(seed=2)
    before = values(other)
    write(tmp_path / "m.h5", {**values(net), "ip___weight": np.zeros(wrong)})
    with pytest.raises(FormatError) as error:
        load_network(tmp_path / "m.h5", other, die_if_not_found=die)
    assert f"data set 'ip___weight' has shape {wrong}; the net expects (2, 48)" in str(error.value)
    assert same(values(other), before)


def test_other_things_in_the_file_are_passed_over(net_of, tmp_path):
    net, other = net_of(seed=1), net_of(seed=2)
    write(tmp_path / "m.h5", {**values(net), "other___weight": np.zeros(3), "note": np.zeros(2)})
    load_network(tmp_path / "m.h5", other)
    assert same(values(net), values(other))


@pytest.mark.parametrize("content", [None, b"", b"nothing like it", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_files_that_are_no_models(net_of, tmp_path, content):
    path = tmp_path / "m.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FormatError, match=r"m\.h5"):
        load_network(path, net_of())


@pytest.mark.parametrize("name", ["inception/1x1", "a___b", "ünï code", "a/b/c", "with.dot", "100%"])
def test_odd_names(net_of, tmp_path, name):
    odd = IP.copy(name=name)
    net, other = net_of(CONV, odd, seed=1), net_of(CONV, odd, seed=2)
    save_network(tmp_path / "m.h5", net)
    load_network(tmp_path / "m.h5", other)
    assert same(values(net), values(other))


def test_sharers_are_saved_under_each_name_and_load_from_one(net_of, tmp_path):
    layers = [
        InnerProductLayer(name=name, output_dim=72, param_key="w", bottoms=[bottom], tops=[name])
        for name, bottom in (("a", "data"), ("b", "a"))
    ]
    net, other = net_of(*layers, seed=1), net_of(*layers, seed=2)
    save_network(tmp_path / "m.h5", net)
    with h5py.File(tmp_path / "m.h5") as file:
        assert sorted(file) == ["a___bias", "a___weight", "b___bias", "b___weight"]
    write(tmp_path / "key.h5", {f"w___{name}": array for name, array in net.params["a"].items()})
    load_network(tmp_path / "key.h5", other)
    assert same(values(net), values(other))
