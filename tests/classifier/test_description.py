"""Classifiers described by a file, and nets with weights of Mocha's and of Caffe's."""

import dataclasses

import numpy as np
import pytest
from tests.classifier.conftest import colour_weights

import mocha.caffe as caffe
from mocha import Net, load_classifier, save_network
from mocha.classifier import Description, read_description
from mocha.classifier.nets import image_net, load_weights
from mocha.errors import ConfigError, FormatError, ShapeError

NET = """
name: "colours"
layer { name: "image" type: "Input" top: "image" input_param { shape { dim: 5 dim: 3 dim: 6 dim: 8 } } }
layer { name: "score" type: "InnerProduct" bottom: "image" top: "score" inner_product_param { num_output: 3 } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""
RED = np.broadcast_to(np.array([200, 0, 0], np.uint8), (20, 20, 3))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A net of Caffe's with its weights in each format, a description beside it, and another working directory."""
    place = tmp_path / "model"
    place.mkdir()
    (place / "net.prototxt").write_text(NET)
    net = caffe.Net(place / "net.prototxt", caffe.TEST)
    net.params["score"][0].data[...] = colour_weights()
    net.save(place / "weights.caffemodel")
    net.save_hdf5(place / "weights.caffemodel.h5")
    (place / "names.txt").write_text("red\ngreen\nblue\n")
    (place / "colours.toml").write_text(
        'model = "net.prototxt"\nweights = "weights.caffemodel"\nclasses = "names.txt"\nscale = 0.01\n'
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return place


def test_a_description_and_its_classifier(folder):
    with load_classifier(folder / "colours.toml") as classifier:
        assert classifier.blob == "prob"
        assert classifier.classify(RED)[0].best.name == "red"
        net = classifier.net
    with pytest.raises(Exception, match="shut down"):
        net.forward()


def test_changes_and_a_backend_of_ones_own(folder, backend):
    with load_classifier(folder / "colours.toml", backend, channel_order="bgr", classes=("r", "g", "b")) as classifier:
        assert classifier.classify(RED)[0].best.name == "b"
    assert not backend.closed
    with pytest.raises(ConfigError, match=r"there is no 'chanel_order'\. Did you mean 'channel_order'"):
        load_classifier(folder / "colours.toml", backend, chanel_order="bgr")


def test_every_key(folder):
    path = folder / "all.toml"
    path.write_text(
        'model = "lenet"\nweights = "w.h5"\nclasses = ["a", "b"]\nblob = "ip2"\nsoftmax = true\nsize = [28, 30]\n'
        'resize = 40\nfit = "pad"\ngrey = true\nchannel_order = "bgr"\nmean = [1, 2.5]\nscale = 1\noversample = true\n'
    )
    described = read_description(path)
    assert described == Description(
        model="lenet", weights=str(folder / "w.h5"), classes=("a", "b"), blob="ip2", softmax=True, size=(28, 30),
        resize=40, fit="pad", grey=True, channel_order="bgr", mean=(1, 2.5), scale=1, oversample=True,
    )  # fmt: skip
    assert {field.name for field in dataclasses.fields(described)} == {
        line.split(" =")[0] for line in path.read_text().splitlines()
    }
    path.write_text('model = "sub/net.prototxt"\nmean = "/somewhere/mean.hdf5"\nclasses = "names.txt"\n')
    described = read_description(path)
    assert described.model == str(folder / "sub" / "net.prototxt")
    assert described.mean == "/somewhere/mean.hdf5"
    assert described.classes == str(folder / "names.txt")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('model = "lenet"\nwieghts = "x"', "there is no key 'wieghts'. Did you mean 'weights'"),
        ('model = "lenet"\nscript = "x.py"', "there is no key 'script'"),
        ('weights = "x"', '"model" is missing'),
        ("model = 3", "model is 3; expected a text"),
        ('model = "lenet"\nscale = true', "scale is True; expected a whole number or a number"),
        ('model = "lenet"\nscale = "1"', "scale is '1'"),
        ('model = "lenet"\nmean = ["a"]', r"mean is \['a'\]; expected .* a list of numbers"),
        ('model = "lenet"\nmean = [true]', "mean is"),
        ('model = "lenet"\nclasses = [1, 2]', "a list of texts"),
        ('model = "lenet"\nclasses = ["\\u001b[2J"]', "a list of texts"),
        ('model = "lenet"\nsize = [1.5, 2]', r"a list \[height, width\]"),
        ('model = "lenet"\noversample = 1', "expected true or false"),
        ("model =", "expected TOML"),
        ("[model]\nname = 'x'", "model is {'name': 'x'}"),
        ("a = " + "[" * 5000, "expected TOML"),
    ],
)
def test_wrong_descriptions_are_refused(folder, text, told):
    path = folder / "wrong.toml"
    path.write_text(text)
    with pytest.raises(FormatError, match=told) as caught:
        read_description(path)
    assert str(path) in str(caught.value)


def test_files_that_are_no_description(folder):
    path = folder / "wrong.toml"
    with pytest.raises(FormatError, match="there is no such file"):
        read_description(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="expected TOML"):
        read_description(path)
    with path.open("wb") as file:
        file.truncate(2 << 20)
    with pytest.raises(FormatError, match="expected a short description"):
        read_description(path)


def test_weights_of_all_formats(folder, backend):
    prototxt = str(folder / "net.prototxt")
    with image_net(prototxt, backend) as net:
        load_weights(folder / "weights.caffemodel", net)
        save_network(folder / "mocha.h5", net)
        keys = list(net.params["score"])
    for name in ("weights.caffemodel", "weights.caffemodel.h5", "mocha.h5"):
        with type(backend)() as fresh, image_net(prototxt, fresh, batch=2) as net:
            load_weights(folder / name, net)
            np.testing.assert_array_equal(net.params["score"][keys[0]], colour_weights())


def test_caffes_weights_in_a_built_in_model(folder, backend):
    text = """
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 28 dim: 28 } } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
            convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: "xavier" } } }
    layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
            convolution_param { num_output: 50 kernel_size: 5 weight_filler { type: "xavier" } } }
    layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2" pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1"
            inner_product_param { num_output: 500 weight_filler { type: "xavier" } } }
    layer { name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }
    layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
            inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
    layer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" }
    """
    (folder / "lenet.prototxt").write_text(text)
    caffe.Net(folder / "lenet.prototxt", caffe.TEST).save(folder / "lenet.caffemodel")
    image = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
    found = []
    for model in (str(folder / "lenet.prototxt"), "lenet"):
        described = Description(model=model, weights=str(folder / "lenet.caffemodel"), scale=1 / 256)
        with type(backend)() as fresh, described.classifier(fresh) as classifier:
            found.append(classifier.probabilities(image))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_weights_of_another_net_are_refused(folder, backend):
    with image_net("lenet", backend) as net:
        before = net.params["ip2"]["weight"]
        with pytest.raises(FormatError, match=r"no weights for layer 'conv1' of net 'lenet'; the file has score"):
            load_weights(folder / "weights.caffemodel", net)
        with pytest.raises(FormatError, match="there is no such file"):
            load_weights(folder / "absent.caffemodel", net)
        with pytest.raises(FormatError):
            load_weights(folder / "names.txt", net)
        np.testing.assert_array_equal(net.params["ip2"]["weight"], before)
    (folder / "smaller.prototxt").write_text(NET.replace("dim: 8", "dim: 4"))
    with image_net(str(folder / "smaller.prototxt"), backend) as net, pytest.raises(ShapeError, match="blob 0"):
        load_weights(folder / "weights.caffemodel", net)


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"model": ""}, ConfigError, "no model was named"),
        ({"model": "lenot", "weights": "x"}, ConfigError, "model is 'lenot'.*Did you mean 'lenet'"),
        ({"model": "mlp"}, ConfigError, "takes 784 numbers, no images"),
        ({"weights": ""}, ConfigError, "has no weights"),
        ({"size": 5}, ShapeError, "blob 0"),
        ({"size": (0, 5)}, ConfigError, "size is"),
        ({"mean": "nowhere.hdf5"}, FormatError, "nowhere.hdf5"),
        ({"classes": ("a",)}, ConfigError, "1 names"),
    ],
)
def test_a_classifier_that_cannot_be(folder, backend, changes, kind, told):
    described = dataclasses.replace(read_description(folder / "colours.toml"), **changes)
    with pytest.raises(kind, match=told):
        described.classifier(backend)


def test_a_net_for_training_is_refused(folder, backend):
    (folder / "train.prototxt").write_text(
        'layer { name: "d" type: "HDF5Data" top: "x" top: "y" hdf5_data_param { source: "d.txt" batch_size: 2 } }'
    )
    with pytest.raises(ConfigError, match=r"0 Input layers.*deploy\.prototxt"):
        image_net(str(folder / "train.prototxt"), backend)
    with pytest.raises(FormatError, match=r"absent\.prototxt"):
        image_net(str(folder / "absent.prototxt"), backend)


def test_another_size_for_a_net_that_takes_it(backend):
    with image_net("googlenet", backend, size=(64, 96), batch=1) as net:
        assert isinstance(net, Net)
        assert next(iter(net.feeds.values())).source.specs["data"].shape == (1, 3, 64, 96)
