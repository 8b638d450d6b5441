"""Trained models from the wild on real photos, digits and faces, against what Caffe gave."""

import tarfile

import numpy as np
import pytest
from tests.classifier.conftest import shared_folder

from mocha.classifier import Description
from mocha.data import read_idx

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(shared_folder() is None, reason="needs $MOCHA_SHARED or ../shared with caffe/ in it"),
]


def described(shared, name, **options):
    folder = shared / "caffe" / "models" / name
    return Description(model=str(folder / "deploy.prototxt"), weights=str(folder / "weights.caffemodel"), **options)


def squeezenet(shared, **options):
    names = shared / "caffe" / "models" / "squeezenet_v1.0_deepcompressed" / "synset_words.txt"
    about = {"mean": (104, 117, 123), "channel_order": "bgr", "resize": 256, "classes": str(names)}
    return described(shared, "squeezenet_v1.0_deepcompressed", **{**about, **options})


def test_photos_are_named_by_squeezenet(shared, backend):
    photos = shared / "data" / "photos"
    with squeezenet(shared).classifier(backend, batch=4) as classifier:
        names = [photos / name for name in ("chelsea.png", "space_shuttle.jpg", "coffee.png")]
        cat, shuttle, coffee = classifier.classify(names)
        assert (cat.best.name, cat.best.index) == ("Egyptian cat", 285)
        assert {guess.name for guess in cat[:3]} == {"Egyptian cat", "tiger cat", "tabby, tabby cat"}
        assert shuttle.best.name == "space shuttle"
        assert shuttle.best.probability > 0.95
        assert coffee.best.name == "espresso"
        assert [guesses.source for guesses in (cat, shuttle)] == ["chelsea.png", "space_shuttle.jpg"]
    with type(backend)() as other, squeezenet(shared, oversample=True).classifier(other, batch=10) as careful:
        assert careful.classify(photos / "chelsea.png")[0].best.index in (281, 282, 285)


def test_the_scores_are_those_of_caffe(shared, backend):
    """From the very pixels that Caffe was given."""
    refs = shared / "caffe" / "refs" / "squeezenet_v1.0_deepcompressed"
    given = np.load(refs / "input.npy")
    pixels = np.rint(given[0] + np.array([104, 117, 123])[:, None, None])[::-1].transpose(1, 2, 0).astype(np.uint8)
    with squeezenet(shared, resize=None).classifier(backend) as classifier:
        np.testing.assert_allclose(classifier.prepare(pixels), given, atol=0.5)  # Caffe's were not rounded
        answer = classifier.classify(pixels)[0]
    scores = np.load(refs / "out_pool_final.npy").ravel().astype(np.float64)
    expected = np.exp(scores - scores.max())
    np.testing.assert_allclose(answer.probabilities, expected / expected.sum(), atol=0.01)
    assert [guess.index for guess in answer[:3]] == list(np.argsort(-scores)[:3])


def test_prepared_as_caffes_own_input(shared, backend):
    """The fixed input of the references is the face itself: preparing it again gives it back, and the same answer."""
    refs = shared / "caffe" / "refs" / "emotion_mini_xception"
    given = np.load(refs / "input.npy")
    face = np.rint(given[0, 0] * 127.5 + 127.5).astype(np.uint8)
    labels = shared / "caffe" / "models" / "emotion_mini_xception" / "labels.txt"
    about = described(shared, "emotion_mini_xception", classes=str(labels), mean=127.5, scale=1 / 127.5)
    with about.classifier(backend) as classifier:
        np.testing.assert_allclose(classifier.prepare(face), given, atol=1e-2)
        answer = classifier.classify(face)[0]
        assert answer.best.name == "happy"
        assert answer.best.probability == pytest.approx(0.999, abs=1e-3)
        expected = np.load(refs / "out_global_average_pooling2d_1.npy").ravel()
        np.testing.assert_allclose(answer.probabilities, expected, atol=1e-3)
        assert not classifier.softmax


@pytest.fixture(scope="module")
def records():
    """A label and an image in each of 1,000 rows."""
    with tarfile.open(next((shared_folder() / "data" / "cifar10").glob("*.tar*"))) as archive:
        member = next(m for m in archive if m.name.endswith("test_batch.bin"))
        return np.frombuffer(archive.extractfile(member).read(), np.uint8).reshape(-1, 3073)


@pytest.mark.parametrize("model", ["caffe", "built-in"])
def test_a_thousand_small_photos(shared, records, backend, model):
    """Caffe itself names 744 of 1,000, and 9,905 of 10,000 digits."""
    place = shared / "data" / "cifar10"
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    about = described(shared, "cifar10_quick", mean=str(place / "mean.binaryproto"))
    if model == "built-in":
        about = Description(model="cifar10-quick", weights=about.weights, mean=about.mean)
    with about.classifier(backend, batch=100) as classifier:
        found = classifier.probabilities(images)
    assert len(records) == 1000
    assert np.sum(found.argmax(axis=1) == records[:, 0]) == 744


def test_the_digits_of_mnist(shared, backend):
    mnist = shared / "data" / "mnist"
    images, labels = read_idx(mnist / "t10k-images-idx3-ubyte.gz"), read_idx(mnist / "t10k-labels-idx1-ubyte.gz")
    with described(shared, "lenet_mnist", scale=1 / 256).classifier(backend, batch=100) as classifier:
        found = classifier.probabilities(list(images))
    assert np.sum(found.argmax(axis=1) == labels) == 9905
