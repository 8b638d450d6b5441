"""Trained models from the wild against the outputs that Caffe gives, and how often they are right."""

import tarfile

import numpy as np
import pytest
from tests.caffe.conftest import shared_folder

import mocha.caffe as caffe
from mocha import Backend
from mocha.data import read_idx

MODELS = sorted(path.name for path in shared_folder().glob("models/*")) if shared_folder() else ["absent"]


@pytest.fixture(params=["numpy", "native"])
def backend(request):
    if request.param == "native":
        pytest.importorskip("mocha._native", reason="the native library was not built")
    with Backend(request.param) as made:
        yield made


def model(shared, name, backend):
    folder = shared / "models" / name
    return caffe.Net(folder / "deploy.prototxt", caffe.TEST, weights=folder / "weights.caffemodel", backend=backend)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::mocha.caffe.UnknownFieldWarning")
def test_outputs_are_those_of_caffe(shared, name, backend):
    net = model(shared, name, backend)
    given = np.load(shared / "refs" / name / "input.npy")
    net.blobs[net.inputs[0]].reshape(*given.shape)
    net.forward(**{net.inputs[0]: given})
    outputs = list((shared / "refs" / name).glob("out_*.npy"))
    assert outputs
    for path in outputs:
        np.testing.assert_allclose(net.blobs[path.stem.removeprefix("out_")].data, np.load(path), atol=1e-4, rtol=0)


def test_half_precision_weights(shared, backend):
    folder = shared / "models" / "hyperlpr_finemapping"
    net = caffe.Net(folder / "deploy.prototxt", caffe.TEST, weights=folder / "weights_opencv_fp16.caffemodel",
                    backend=backend)  # fmt: skip
    refs = shared / "refs" / "hyperlpr_finemapping"
    found = net.forward(**{net.inputs[0]: np.load(refs / "input.npy")})["dense"]
    np.testing.assert_allclose(found, np.load(refs / "out_dense.npy"), atol=1e-3)


def test_lenet_on_the_test_set(shared, backend):
    """Real Caffe gets 9,905 of 10,000."""
    mnist = shared.parent / "data" / "mnist"
    images, labels = read_idx(mnist / "t10k-images-idx3-ubyte.gz"), read_idx(mnist / "t10k-labels-idx1-ubyte.gz")
    net = model(shared, "lenet_mnist", backend)
    found = net.forward_all(data=images[:, np.newaxis].astype(np.float32) * 0.00390625)["prob"]
    assert np.sum(found.reshape(10000, -1).argmax(axis=1) == labels) == 9905


def test_cifar10_quick_on_a_thousand_images(shared, backend):
    """Real Caffe gets 744 of 1,000."""
    folder = shared.parent / "data" / "cifar10"
    if not (folder / "test_batch.bin").is_file():
        with tarfile.open(next(folder.glob("*.tar*"))) as archive:
            member = next(m for m in archive if m.name.endswith("test_batch.bin"))
            raw = archive.extractfile(member).read()
    else:
        raw = (folder / "test_batch.bin").read_bytes()
    records = np.frombuffer(raw, np.uint8).reshape(-1, 3073)
    images = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) - caffe.read_mean(folder / "mean.binaryproto")
    net = model(shared, "cifar10_quick", backend)
    found = net.forward_all(data=images)["prob"]
    assert len(records) == 1000
    assert np.sum(found.reshape(1000, -1).argmax(axis=1) == records[:, 0]) == 744


def test_squeezenet_names_what_is_on_photos(shared, backend):
    """By pycaffe's classifier: the middle of a photo, resized, in BGR, less the mean colour."""
    pytest.importorskip("PIL", reason="needs Pillow, of the extra [caffe]")
    photos = shared.parent / "data" / "photos"
    names = [line.split(" ", 1)[1] for line in (photos / "synset_words.txt").read_text().splitlines()]
    net = model(shared, "squeezenet_v1.0_deepcompressed", backend)
    transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_channel_swap("data", (2, 1, 0))
    transformer.set_raw_scale("data", 255)
    transformer.set_mean("data", np.array([104.0, 117.0, 123.0]))
    guesses = {}
    for photo in ("chelsea.png", "space_shuttle.jpg", "coffee.png"):
        image = caffe.io.resize_image(caffe.io.load_image(str(photos / photo)), (256, 256))[14:241, 14:241]
        scores = net.forward(data=transformer.preprocess("data", image)[np.newaxis])["pool_final"].ravel()
        guesses[photo] = names[int(scores.argmax())]
    assert guesses["chelsea.png"] == "Egyptian cat"
    assert guesses["space_shuttle.jpg"] == "space shuttle"
    assert guesses["coffee.png"] in ("espresso", "cup")
