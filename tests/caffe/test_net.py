"""Nets as pycaffe has them: arrays that live, partial passes, files, sharing, and layers that remember."""

import h5py
import numpy as np
import pytest

import mocha.caffe as caffe
from mocha import Backend
from mocha.errors import ConfigError, FormatError, ShapeError, StateError

SMALL = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1"
        inner_product_param { num_output: 5 weight_filler { type: "xavier" } bias_filler { value: 0.1 } } }
layer { name: "act" type: "%s" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""
GIVEN = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
LOSS = """
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""


def net(text, phase=caffe.TRAIN, **kwargs):
    return caffe.Net(caffe.parse_net(text), phase, **kwargs)


@pytest.fixture(params=["numpy", "native"])
def backend(request):
    if request.param == "native":
        pytest.importorskip("mocha._native", reason="the native library was not built")
    with Backend(request.param) as made:
        yield made


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A net and its weights, in the working directory."""
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("net.prototxt").write_text(SMALL % "ReLU")
    made = caffe.Net("net.prototxt", caffe.TEST)
    made.save("w.caffemodel")
    made.save_hdf5("w.caffemodel.h5")
    return made


# -- making


def test_forms_of_the_constructor(files):
    for made in (
        caffe.Net("net.prototxt", "w.caffemodel", caffe.TEST),
        caffe.Net("net.prototxt", caffe.TEST, weights="w.caffemodel.h5"),
        caffe.Net("net.prototxt", caffe.TEST, 0, [], "w.caffemodel"),
        caffe.Net(network_file="net.prototxt", phase=caffe.TEST, level=0, stages=None, weights="w.caffemodel"),
        caffe.Net(caffe.read_net("net.prototxt"), caffe.TEST, weights="w.caffemodel"),
        caffe.Net("w.caffemodel", caffe.TEST),  # definition and weights in one
    ):
        np.testing.assert_array_equal(made.params["ip1"][0].data, files.params["ip1"][0].data)
        assert list(made.blobs) == ["data", "ip1", "ip2"]
        assert [layer.type for layer in made.layers] == ["Input", "InnerProduct", "ReLU", "InnerProduct"]
        assert made.layer_dict["ip2"].blobs is made.params["ip2"]
        assert made.top_names["act"] == made.bottom_names["act"] == ["ip1"]
        assert (made.inputs, made.outputs) == (["data"], ["ip2"])
        assert (made._inputs, made._outputs) == ([0], [2])


def test_missing_files(files):
    with pytest.raises(RuntimeError, match=r"Could not open file no\.prototxt"):
        caffe.Net("no.prototxt", caffe.TEST)
    with pytest.raises(RuntimeError, match=r"Could not open file no\.caffemodel"):
        caffe.Net("net.prototxt", "no.caffemodel", caffe.TEST)
    with pytest.raises(RuntimeError, match="no such file"):
        files.copy_from("no")
    with pytest.raises(ConfigError, match=r"phase is None; expected caffe.TRAIN or"):
        caffe.Net("net.prototxt")
    with pytest.raises(ConfigError, match="received int"):
        caffe.Net(3, caffe.TEST)
    with pytest.raises(FormatError, match=r"w\.caffemodel\.h5: this is an HDF5 file"):
        caffe.Net("w.caffemodel.h5", caffe.TEST)
    with pytest.raises(FormatError, match=r"net\.prototxt: expected weights"):
        files.copy_from("net.prototxt")


# -- arrays that live


def test_blobs_that_were_taken_show_what_comes_later(backend):
    made = net(SMALL % "TanH", caffe.TEST, backend=backend)
    taken, part = made.blobs["ip2"].data, made.blobs["ip1"].data[1]
    assert not taken.any()
    made.blobs["data"].data[...] = GIVEN
    out = made.forward()["ip2"]
    assert out is taken
    first = taken.copy()
    assert part.any()
    np.testing.assert_array_equal(part, made.blobs["ip1"].data[1])
    made.forward(data=2 * GIVEN)
    assert not np.array_equal(taken, first)
    np.testing.assert_array_equal(part, made.blobs["ip1"].data[1])
    gradient = made.blobs["ip1"].diff
    made.blobs["ip2"].diff[...] = 1
    made.backward()
    slope = 1 - made.blobs["ip1"].data ** 2  # in place the gradient below the layer is shown, as in Caffe
    np.testing.assert_allclose(gradient, np.ones((2, 3)) @ made.params["ip2"][0].data * slope, rtol=1e-4)


def test_a_part_of_a_reshaped_blob_lives_too():
    made = net(SMALL % "TanH", caffe.TEST)
    assert made.blobs["data"].data.shape == (2, 4)
    made.blobs["data"].reshape(1, 8)
    made.blobs["data"].reshape(2, 4)
    made.forward(data=GIVEN)
    row = made.blobs["data"].data[0]
    made.forward(data=GIVEN + 1)
    np.testing.assert_array_equal(row, GIVEN[0] + 1)


def test_written_parameters_count_at_the_next_forward(backend):
    text = """
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 16 dim: 12 dim: 12 } } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 16 kernel_size: 3
            weight_filler { type: "msra" } } }
    layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip"
            inner_product_param { num_output: 64 weight_filler { type: "xavier" } } }
    """
    made = net(text, caffe.TEST, backend=backend)
    twin = net(text, caffe.TEST, backend=backend)  # the same parameters
    given = np.random.default_rng(1).random((1, 16, 12, 12))
    kept = made.params["c"][0].data  # held on to
    for _ in range(3):
        before = made.forward(data=given)["ip"].copy(), twin.forward(data=given)["ip"].copy()
        made.params["ip"][0].data[...] *= 2
        for at in range(2):
            found = (made, twin)[at].forward(data=given)["ip"]
            np.testing.assert_allclose(found, 2 * before[at], rtol=1e-5, atol=1e-6)
        kept *= 0.5
        for at in (1, 0):
            found = (twin, made)[at].forward(data=given)["ip"]
            np.testing.assert_allclose(found, before[at], rtol=1e-5, atol=1e-6)


def test_gradients_of_parameters_add_up_until_cleared(backend):
    made = net(SMALL % "ReLU" + LOSS, backend=backend)
    held = made.params["ip2"][0].diff
    assert held.shape == (3, 5)
    assert not held.any()
    made.forward(data=GIVEN, label=[0, 2])
    made.backward()
    once = held.copy()
    assert once.any()
    made.backward()
    np.testing.assert_allclose(held, 2 * once, rtol=1e-6)
    made.clear_param_diffs()
    assert not held.any()
    made.backward()
    np.testing.assert_array_equal(held, once)
    held[...] = 7
    made.backward()
    np.testing.assert_allclose(held, 7 + once, rtol=1e-6)


def test_legacy_sizes():
    made = net(SMALL % "ReLU")
    blob = made.blobs["data"]
    assert (blob.num, blob.channels, blob.height, blob.width, blob.count) == (2, 4, 1, 1, 8)
    assert made.params["ip1"][1].num == 5
    blob.reshape(1, 1, 1, 2, 4)
    with pytest.raises(ShapeError, match="no num, channels"):
        _ = blob.num


# -- passes


def test_forward_from_one_layer_to_another(backend):
    made = net(SMALL % "ReLU", caffe.TEST, backend=backend)
    with pytest.raises(ConfigError, match=r"received arrays for .*'dta'"):
        made.forward(dta=GIVEN)
    found = made.forward(["data", "ip1"], end="ip1", data=GIVEN)
    assert list(found) == ["ip1", "data"]
    w, b = (blob.data for blob in made.params["ip1"])
    np.testing.assert_allclose(found["ip1"], GIVEN @ w.T + b, rtol=1e-5, atol=1e-6)
    assert not made.blobs["ip2"].data.any()
    made.blobs["ip1"].data[...] = -1
    found = made.forward(start="act")
    np.testing.assert_allclose(found["ip2"], np.tile(made.params["ip2"][1].data, (2, 1)))
    assert np.all(made.blobs["ip1"].data == 0)
    assert list(made.forward(start="act", end="act")) == ["ip1"]
    for bad, message in (
        ({"start": "no"}, "no layer 'no'"),
        ({"end": "ip3"}, "Did you mean 'ip2'"),
        ({"start": "ip2", "end": "ip1"}, "'ip2' comes after 'ip1'"),
        ({"blobs": ["ip9"]}, "no blob 'ip9'"),
    ):
        with pytest.raises(ConfigError, match=message):
            made.forward(**bad)


def test_arrays_that_do_not_fit_change_nothing():
    made = net(SMALL % "ReLU" + LOSS)
    made.blobs["data"].data[...] = 5
    for data, label in (
        (np.ones((3, 4)), [0, 1]),
        (np.ones((2, 5)), [0, 1]),
        (np.ones((2, 4)), [0, 1, 2]),
        (1, [0, 1]),
    ):
        with pytest.raises(ShapeError, match=r"input '(data|label)': received shape"):
            made.forward(data=data, label=label)
    assert np.all(made.blobs["data"].data == 5)
    made.forward(data=np.ones((2, 1)), label=[0, 1])  # spread
    assert np.all(made.blobs["data"].data == 1)


def test_backward_from_one_layer_to_another(backend):
    made = net(SMALL % "ReLU", caffe.TEST, backend=backend)
    made.forward(data=GIVEN)
    with pytest.raises(ConfigError, match="no layer 'no'"):
        made.backward(start="no", ip2=np.ones((2, 3)))
    with pytest.raises(ConfigError, match="expected one for each top"):
        made.backward(ip1=np.ones((2, 5)))
    found = made.backward(["ip2"], ip2=np.ones((2, 3)), end="ip2")
    assert list(found) == ["ip1", "ip2"]
    np.testing.assert_allclose(found["ip1"], np.ones((2, 3)) @ made.params["ip2"][0].data, rtol=1e-6)
    assert not made.params["ip1"][0].diff.any()
    found = made.backward(start="ip1", ip1=np.ones((2, 5)))
    np.testing.assert_allclose(made.params["ip1"][0].diff, np.ones((2, 5)).T @ GIVEN, rtol=1e-5, atol=1e-6)
    assert list(found) == ["data"]


STEPS = {
    "ReLU": "", "TanH": "", "Sigmoid": "", "ELU": "", "PReLU": "", "BatchNorm": "", "Swish": "", "BNLL": "",
    "Dropout": "", "Power": "power_param { power: 2 shift: 3 }", "Exp": "", "Clip": "clip_param { min: -0.1 max: 0.4 }",
    "Scale": "scale_param { bias_term: true filler { value: 3 } }", "Softmax": "",
    "MVN": "mvn_param { across_channels: true }", "Bias": "",
}  # fmt: skip


@pytest.mark.parametrize("kind", STEPS)
def test_backward_in_parts_is_backward(kind, backend):
    """Also where a layer in place has overwritten what the one below it made."""
    text = """
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 1 dim: 1 } } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c"
            convolution_param { num_output: 5 kernel_size: 1 weight_filler { type: "msra" } } }
    """
    text += f'layer {{ name: "act" type: "{kind}" bottom: "c" top: "c" {STEPS[kind]} }}'
    text += SMALL[SMALL.index('layer { name: "ip2"') :].replace("ip1", "c") + LOSS
    made = net(text, backend=backend)
    made.forward(data=GIVEN.reshape(2, 4, 1, 1), label=[0, 2])
    made.backward()
    values = {name: [blob.data.copy() for blob in blobs] for name, blobs in made.params.items()}
    expected = {name: [blob.diff.copy() for blob in blobs] for name, blobs in made.params.items()}
    slope = made.blobs["c"].diff.copy()

    def check():
        assert made.blobs["c"].diff.any()
        np.testing.assert_allclose(made.blobs["c"].diff, slope, rtol=1e-5, atol=1e-6)
        for name, diffs in expected.items():
            for blob, diff, before in zip(made.params[name], diffs, values[name], strict=True):
                np.testing.assert_allclose(blob.diff, diff, rtol=1e-5, atol=1e-6)
                np.testing.assert_array_equal(blob.data, before)  # the statistics of batch normalisation too
        made.clear_param_diffs()

    check()
    made.backward(end="ip2")
    made.backward(start="act", end="act")
    made.backward(start="c")
    check()
    made.backward(end="act")
    made.backward(start="c")
    check()
    order = []
    made.before_backward(order.append)  # layer by layer
    made.backward()
    assert order == [5, 4, 3, 2, 1, 0]
    check()


def test_callbacks_come_with_the_numbers_of_layers():
    made = net(SMALL % "TanH" + LOSS)
    calls = []
    for when in ("before_forward", "after_forward", "before_backward", "after_backward"):
        getattr(made, when)(lambda layer, when=when: calls.append((when, layer)))
    made.after_forward(lambda layer: calls.append(made.blobs["ip1"].data.any()) if layer == 1 else None)
    plain = net(SMALL % "TanH" + LOSS)
    for each in (plain, made):
        each.forward(data=GIVEN, label=[0, 2])
        each.backward()
    forward = [(when, i) for i in range(6) for when in ("before_forward", "after_forward")]
    forward.insert(4, True)
    backward = [(when, i) for i in range(5, -1, -1) for when in ("before_backward", "after_backward")]
    assert calls == forward + backward
    for name, blobs in plain.params.items():
        for mine, other in zip(made.params[name], blobs, strict=True):
            np.testing.assert_allclose(mine.diff, other.diff, rtol=1e-6)


def test_an_error_of_a_callback_passes_through():
    made = net(SMALL % "ReLU")

    def fail(layer):
        raise KeyError(layer)

    made.before_forward(fail)
    with pytest.raises(KeyError):
        made.forward()


def test_any_number_of_examples():
    made = net(SMALL % "TanH", caffe.TEST)
    given = np.random.default_rng(2).random((5, 4))
    found = made.forward_all(["ip1"], data=given)
    assert {name: array.shape for name, array in found.items()} == {"ip2": (5, 3), "ip1": (5, 5)}
    for i in range(5):
        made.forward(data=np.tile(given[i], (2, 1)))
        np.testing.assert_allclose(found["ip2"][i], made.blobs["ip2"].data[0], rtol=1e-5, atol=1e-6)
    values, slopes = made.forward_backward_all(["data"], ["ip1"], data=given, ip2=np.ones((5, 3)))
    assert {name: array.shape for name, array in values.items()} == {"ip2": (5, 3), "data": (5, 4)}
    assert slopes["ip1"].shape == (5, 5)
    slope = 1 - found["ip1"] ** 2
    np.testing.assert_allclose(slopes["ip1"], np.ones((5, 3)) @ made.params["ip2"][0].data * slope, rtol=1e-4)
    for bad in ({}, {"data": np.ones((0, 4))}, {"data": 3.0}):
        with pytest.raises(ShapeError, match="expected arrays of as many examples"):
            made.forward_all(**bad)
    with pytest.raises(ShapeError, match="expected arrays of as many"):
        net(SMALL % "ReLU" + LOSS).forward_all(data=np.ones((3, 4)), label=np.zeros(2))
    with pytest.raises(ConfigError, match=r"received arrays for .'no'"):
        made.forward_backward_all(data=given, no=given)


# -- shapes


def test_inputs_change_their_shape_and_back(backend):
    text = """
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 8 dim: 8 } } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c"
            convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "msra" } } }
    layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE global_pooling: true } }
    """
    made = net(text, caffe.TEST, backend=backend)
    given = np.random.default_rng(3).random((1, 2, 8, 8))
    first = made.forward(data=given)["p"].copy()
    pooled = made.blobs["p"].data
    made.blobs["data"].reshape(4, 2, 5, 6)
    made.reshape()
    assert made.blobs["c"].shape == made.blobs["c"].data.shape == made.blobs["c"].diff.shape == (4, 3, 3, 4)
    assert made.forward(data=np.ones((4, 2, 5, 6)))["p"].shape == (4, 3, 1, 1)
    made.blobs["data"].reshape(1, 2, 8, 8)
    np.testing.assert_array_equal(made.forward(data=given)["p"], first)
    np.testing.assert_array_equal(pooled, first)
    made.blobs["data"].reshape(1, 2, 2, 2)
    with pytest.raises((ConfigError, ShapeError), match="c"):
        made.reshape()
    assert made.blobs["data"].shape == (1, 2, 8, 8)
    np.testing.assert_array_equal(made.forward(data=given)["p"], first)
    for bad in ((-1, 2, 8, 8), (2**16, 2**16)):
        with pytest.raises(ShapeError, match="reshape: received"):
            made.blobs["data"].reshape(*bad)


def test_numbers_outlive_a_reshape_of_others(backend):
    text = (
        SMALL % "ReLU"
        + """
    layer { name: "other" type: "Input" top: "other" input_param { shape { dim: 3 } } }
    layer { name: "twice" type: "Power" bottom: "other" top: "twice" power_param { scale: 2 } }
    """
    )
    made = net(text, caffe.TEST, backend=backend)
    made.forward(data=GIVEN, other=np.arange(3))
    made.blobs["data"].reshape(1, 4)
    made.reshape()
    np.testing.assert_array_equal(made.blobs["twice"].data, [0, 2, 4])
    made.forward(data=GIVEN[:1], other=np.ones(3))
    made.close()
    np.testing.assert_array_equal(made.blobs["twice"].data, [2, 2, 2])


# -- files


@pytest.mark.parametrize("name", ["w.caffemodel", "w.caffemodel.h5"])
def test_weights_go_by_the_names_of_layers(files, name):
    text = SMALL % "ReLU"
    renamed = net(text.replace('name: "ip1"', 'name: "new"'), caffe.TEST)
    before = renamed.params["new"][0].data.copy()
    renamed.params["ip2"][0].data[...] = 0
    renamed.copy_from(name)
    np.testing.assert_array_equal(renamed.params["new"][0].data, before)
    np.testing.assert_array_equal(renamed.params["ip2"][0].data, files.params["ip2"][0].data)


@pytest.mark.parametrize("name", ["w.caffemodel", "w.caffemodel.h5"])
def test_what_does_not_fit_changes_nothing(files, name):
    for text in (
        (SMALL % "ReLU").replace("num_output: 3", "num_output: 4"),
        (SMALL % "ReLU").replace("num_output: 3", "num_output: 3 bias_term: false"),
    ):
        made = net(text, caffe.TEST)
        before = {n: [b.data.copy() for b in blobs] for n, blobs in made.params.items()}
        made.params["ip1"][0].data[...] = before["ip1"][0][...] = 9
        with pytest.raises(ShapeError, match=f"{name}: layer 'ip2'"):
            made.copy_from(name)
        for layer, blobs in made.params.items():
            for blob, values in zip(blobs, before[layer], strict=True):
                np.testing.assert_array_equal(blob.data, values)


def test_hdf5_without_an_array_of_a_layer_is_refused(files):
    with h5py.File("w.caffemodel.h5", "r+") as file:
        del file["data/ip2/1"]
    with pytest.raises(ShapeError, match="layer 'ip2' has 1 arrays; the net's has 2"):
        files.copy_from("w.caffemodel.h5")


def test_hdf5_leaves_out_what_earlier_layers_own(tmp_path):
    text = """
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
    layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" }
            inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
            inner_product_param { num_output: 3 } }
    """
    made = net(text)
    made.params["b"][1].data[...] = 3
    path = tmp_path / "w.h5"
    made.save_hdf5(path)
    with h5py.File(path) as file:
        assert list(file["data/a"]) == ["0", "1"]
        assert list(file["data/b"]) == ["1"]
    other = net(text)
    other.copy_from(path)
    assert np.all(other.params["b"][1].data == 3)
    np.testing.assert_array_equal(other.params["b"][0].data, made.params["a"][0].data)
    made.save(tmp_path / "w.caffemodel")
    assert len(caffe.read_weights(tmp_path / "w.caffemodel")["b"]) == 2


def test_gradients_in_hdf5(files):
    files.forward(data=GIVEN)
    files.backward(ip2=np.ones((2, 3)))
    files.save_hdf5("d.h5", write_diff=True)
    with h5py.File("d.h5") as file:
        np.testing.assert_array_equal(file["diff/ip2/1"], [2, 2, 2])
    files.load_hdf5("d.h5")


def test_what_is_saved_is_the_filtered_net(files):
    net(SMALL % "ReLU" + LOSS).save("t.caffemodel")
    saved = caffe.read_weights_net("t.caffemodel")
    assert {layer.phase for layer in saved.layer} == {caffe.TRAIN}
    assert [len(layer.blobs) for layer in saved.layer] == [0, 2, 0, 2, 0, 0]
    with pytest.raises(OSError, match=r"net\.prototxt"):
        files.save("net.prototxt/w.caffemodel")


# -- sharing


def test_nets_share_parameters():
    one, two = net(SMALL % "TanH", caffe.TEST), net((SMALL % "TanH").replace('"ip2"', '"mine"'), caffe.TEST)
    own = two.params["mine"][0].data.copy()
    two.blobs["data"].reshape(1, 4)
    two.forward(data=GIVEN[:1])
    calls = []
    two.before_forward(calls.append)
    out = two.blobs["mine"]
    two.share_with(one)
    assert out is two.blobs["mine"]
    np.testing.assert_array_equal(two.params["mine"][0].data, own)
    one.params["ip1"][0].data[...] = 0
    one.params["ip1"][1].data[...] = 0
    two.forward(data=GIVEN[:1])
    assert calls
    assert out.data.shape == (1, 3)
    assert not two.blobs["ip1"].data.any()
    assert not two.params["ip1"][0].data.any()
    two.params["ip1"][1].data[...] = 1
    assert np.all(one.forward(data=GIVEN)["ip2"] != 0)
    two.share_with(one)


def test_sharing_what_does_not_fit_changes_nothing():
    one = net(SMALL % "TanH", caffe.TEST)
    two = net((SMALL % "TanH").replace("num_output: 3", "num_output: 2"), caffe.TEST)
    before = two.forward(data=GIVEN)["ip2"].copy()
    with pytest.raises(ShapeError, match="ip2"):
        two.share_with(one)
    np.testing.assert_array_equal(two.forward(data=GIVEN)["ip2"], before)


# -- data


MEMORY = """
layer { name: "m" type: "MemoryData" top: "data" top: "label"
        memory_data_param { batch_size: 2 channels: 1 height: 1 width: 3 } }
"""


def test_data_from_memory():
    made = net(MEMORY)
    with pytest.raises(StateError, match=r"layer 'm' .*call net.set_input_arrays"):
        made.forward()
    data = np.arange(12, dtype=np.float32).reshape(4, 1, 1, 3)
    made.set_input_arrays(data, np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1))
    for expected in ([0, 1], [2, 3], [0, 1]):
        out = made.forward()
        np.testing.assert_array_equal(out["label"], expected)
        np.testing.assert_array_equal(out["data"], data[expected])
    data[2:] = 0  # not a copy
    assert not made.forward()["data"].any()
    for bad in ((data[:3], np.ones(3)), (data, np.ones(3)), (data[:, :, :, :2], np.ones(4)), (data[:0], np.ones(0))):
        with pytest.raises(ShapeError, match="set_input_arrays: data"):
            made.set_input_arrays(*bad)
    for text in (SMALL % "ReLU", ""):
        with pytest.raises(ConfigError, match="the first layer is no MemoryData"):
            net(text).set_input_arrays(data, np.ones(4))


def test_made_up_data():
    text = """
    layer { name: "d" type: "DummyData" top: "noise" top: "still" top: "old" dummy_data_param {
            shape { dim: 2 dim: 2 } data_filler { type: "uniform" } data_filler { value: 3 } data_filler { } } }
    """
    made = net(text, seed=1)
    assert np.all(made.blobs["still"].data == 3)  # from the beginning
    first = made.forward()["noise"].copy()
    assert np.all((first >= 0) & (first < 1))
    made.blobs["still"].data[...] = 5  # filled once, as in Caffe
    second = made.forward()
    assert not np.array_equal(second["noise"], first)
    assert np.all(second["still"] == 5)
    np.testing.assert_array_equal(net(text, seed=1).forward()["noise"], first)
    with pytest.raises(ConfigError, match=r"layer 'd' .*2 data_filler entries; expected one, or 3"):
        net(text.replace("data_filler { } }", "}"))


def test_hdf5_in_and_out(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["x"], file["y"] = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    (tmp_path / "in.txt").write_text(f"{tmp_path}/in.h5\n")
    text = f"""
    layer {{ name: "in" type: "HDF5Data" top: "x" top: "y"
             hdf5_data_param {{ source: "{tmp_path}/in.txt" batch_size: 4 }} }}
    layer {{ name: "out" type: "HDF5Output" bottom: "x" bottom: "y"
             hdf5_output_param {{ file_name: "{tmp_path}/out.h5" }} }}
    """  # fmt: skip
    made = net(text)
    made.forward()
    made.forward()
    made.close()
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["label"], [0, 1, 2, 3, 4, 5, 0, 1])
        np.testing.assert_array_equal(file["data"][:6], np.arange(12).reshape(6, 2))


# -- layers that remember


def test_statistics_are_updated_once_a_forward(backend):
    text = """
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 } } }
    layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }
    layer { name: "ip" type: "InnerProduct" bottom: "bn" top: "ip" loss_weight: 1
            inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
    """
    made = net(text, backend=backend)
    given = np.random.default_rng(4).random((4, 3))
    mean, _, factor = (blob.data for blob in made.params["bn"])
    for count in (1, 2):
        made.forward(data=given)
        made.backward()
        made.backward(end="ip")
        made.backward(start="bn")
        made.backward()
        assert factor == pytest.approx(sum(0.999**i for i in range(count)))
        np.testing.assert_allclose(mean / factor, given.mean(axis=0), rtol=1e-5)
    test = net(text, caffe.TEST, backend=backend)
    test.forward(data=given)
    assert test.params["bn"][2].data == factor
    np.testing.assert_allclose(test.blobs["bn"].data.mean(axis=0), 0, atol=1e-5)


def test_masks_are_those_of_the_forward(backend):
    text = SMALL.replace('"act"', '"drop"') % "Dropout" + LOSS
    made = net(text.replace("dim: 4", "dim: 40"), backend=backend, seed=3)
    made.blobs["data"].data[...] = 1
    masks = []
    for _ in range(2):
        made.forward()
        masks.append(made.blobs["ip1"].data == 0)
        for whole in (True, False):
            made.blobs["ip1"].diff[...] = 1
            if whole:
                made.backward(start="drop", end="drop")
            else:
                made.backward()
            if whole:
                np.testing.assert_array_equal(made.blobs["ip1"].diff == 0, masks[-1])
    assert not np.array_equal(*masks)
    again = net(text.replace("dim: 4", "dim: 40"), seed=3)
    again.blobs["data"].data[...] = 1
    again.forward()
    np.testing.assert_array_equal(again.blobs["ip1"].data == 0, masks[0])


RECURRENT = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 dim: 2 dim: 4 } } }
layer { name: "cont" type: "Input" top: "cont" input_param { shape { dim: 3 dim: 2 } } }
layer { name: "r" type: "%s" bottom: "x" bottom: "cont" top: "r" recurrent_param { num_output: 5
        weight_filler { type: "uniform" min: -1 max: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "r" top: "ip" loss_weight: 1 inner_product_param { num_output: 2
        axis: 2 weight_filler { type: "xavier" } } }
"""


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_states_go_on_from_pass_to_pass(kind, backend):
    made = net(RECURRENT % kind, backend=backend)
    x = np.random.default_rng(5).standard_normal((6, 2, 4))
    whole = net((RECURRENT % kind).replace("dim: 3", "dim: 6"), backend=backend)
    expected = whole.forward(["r"], x=x, cont=np.ones((6, 2)))["r"]
    for at in (0, 3):
        found = made.forward(["r"], x=x[at : at + 3], cont=np.ones((3, 2)))["r"]
        np.testing.assert_allclose(found, expected[at : at + 3], rtol=1e-5, atol=1e-6)
        made.clear_param_diffs()
        made.backward()
        gradients = [blob.diff.copy() for blob in made.params["r"]]
        made.clear_param_diffs()
        made.backward(end="ip")
        made.backward(start="r")  # runs the layer again, from where it had begun
        for blob, gradient in zip(made.params["r"], gradients, strict=True):
            np.testing.assert_allclose(blob.diff, gradient, rtol=1e-5, atol=1e-6)
    # cont 0 forgets
    fresh = made.forward(["r"], x=x[:3], cont=np.array([[0, 0], [1, 1], [1, 1]]))["r"]
    np.testing.assert_allclose(fresh, expected[:3], rtol=1e-5, atol=1e-6)


def test_another_batch_size_begins_anew(backend):
    made = net(RECURRENT % "LSTM", backend=backend)
    x = np.random.default_rng(6).standard_normal((3, 2, 4))
    first = made.forward(["r"], x=x, cont=np.ones((3, 2)))["r"].copy()
    made.blobs["x"].reshape(3, 1, 4)
    made.blobs["cont"].reshape(3, 1)
    found = made.forward(["r"], x=x[:, :1], cont=np.ones((3, 1)))["r"]
    np.testing.assert_allclose(found, first[:, :1], rtol=1e-5, atol=1e-6)


FILTER = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 4 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 2
        weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "ip" top: "n" }
layer { name: "where" type: "Threshold" bottom: "s" top: "where" }
layer { name: "f" type: "Filter" bottom: "n" bottom: "s" bottom: "where" top: "f" top: "kept" }
layer { name: "twice" type: "Power" bottom: "f" top: "y" power_param { scale: 2 } loss_weight: 1 }
"""


def test_filters_let_through_another_number_each_time(backend):
    made = net(FILTER, backend=backend)
    x = np.random.default_rng(7).random((4, 3))
    for count, s in enumerate(([1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 1], [1, 1, 1, 0]), 1):
        out = made.forward(["f", "n"], x=x, s=np.array(s) * 2)
        chosen = np.flatnonzero(s)
        assert made.blobs["f"].shape == made.blobs["f"].diff.shape == (len(chosen), 2)
        np.testing.assert_array_equal(out["y"], 2 * out["n"][chosen])
        np.testing.assert_array_equal(out["kept"], np.full(len(chosen), 2))
        # what the selector depends on is computed twice; statistics are not
        assert made.params["bn"][2].data == pytest.approx(sum(0.999**i for i in range(count)))
        made.backward()
        slope = np.zeros((4, 2))
        slope[chosen] = 2
        np.testing.assert_array_equal(made.blobs["n"].diff, slope)


def test_filters_do_not_skip_batches():
    text = (
        MEMORY.replace("batch_size: 2", "batch_size: 4")
        + """
    layer { name: "more" type: "Power" bottom: "label" top: "sel" power_param { shift: 1 } }
    layer { name: "th" type: "Threshold" bottom: "sel" top: "where" threshold_param { threshold: 2.5 } }
    layer { name: "f" type: "Filter" bottom: "data" bottom: "where" top: "f" }
    layer { name: "g" type: "Filter" bottom: "data" bottom: "label" top: "g" }
    """
    )
    made = net(text.replace('bottom: "label" top: "sel"', 'bottom: "label" top: "sel"'))
    data = np.arange(24, dtype=np.float32).reshape(8, 1, 1, 3)
    labels = np.arange(8, dtype=np.float32)
    made.set_input_arrays(data, labels)
    for at in (0, 4, 0):
        out = made.forward()
        np.testing.assert_array_equal(out["f"], data[at : at + 4][labels[at : at + 4] > 1])
        np.testing.assert_array_equal(out["g"], data[at : at + 4][labels[at : at + 4] > 0])


def test_many_numbers_of_rows_do_not_pile_up():
    made = net(FILTER.replace("dim: 4", "dim: 64"), caffe.TEST)
    for count in range(64):
        out = made.forward(x=np.ones((64, 3)), s=np.arange(64) < count)
        assert out["y"].shape == (count, 2)
    assert len(made.engine._executables) <= 32
    assert made.forward(x=np.ones((64, 3)), s=np.arange(64) < 2)["y"].shape == (2, 2)
