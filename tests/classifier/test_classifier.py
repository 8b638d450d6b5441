"""Naming what is on images, with small nets whose answers are known."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from tests.classifier.conftest import colour_layers, colour_weights

from mocha import (
    ConvolutionLayer,
    ElementWiseLayer,
    ImageClassifier,
    InnerProductLayer,
    MemoryDataLayer,
    Net,
    Predictor,
    SoftmaxLossLayer,
    StateError,
)
from mocha.classifier import Answers, Guess, Guesses, read_names
from mocha.errors import ConfigError, FormatError, MochaError, ShapeError

NAMES = ["red", "green", "blue"]


def plain(red, green, blue, size=(12, 16)):
    """One colour."""
    return np.broadcast_to(np.array([red, green, blue], np.uint8), (*size, 3))


def softmax(scores):
    e = np.exp(np.asarray(scores, float) - np.max(scores))
    return e / e.sum()


def test_colours_are_named(colours, tmp_path):
    classifier = ImageClassifier(colours, classes=NAMES, scale=1 / 255)
    Image.fromarray(plain(0, 0, 250)).save(tmp_path / "sea.png")
    answers = classifier.classify([plain(255, 0, 51), tmp_path / "sea.png", Image.fromarray(plain(0, 200, 0))], top=2)
    assert isinstance(answers, Answers)
    assert [guesses.best.name for guesses in answers] == ["red", "blue", "green"]
    assert [guesses.source for guesses in answers] == ["", "sea.png", ""]
    first = answers[0]
    assert isinstance(first, Guesses)
    assert [guess.name for guess in first] == ["red", "blue"]
    np.testing.assert_allclose(first.probabilities, softmax([1, 0, 0.2]), rtol=1e-5)
    assert first[1] == Guess("blue", 2, first.probabilities[2])
    assert first.picture.shape == (12, 16, 3)
    assert len(answers[1:]) == 2


def test_one_image_a_stack_and_none(colours):
    classifier = ImageClassifier(colours)
    assert [guess.name for guess in classifier.classify(plain(9, 5, 1))[0]] == ["0", "1", "2"]
    assert len(classifier.classify(np.stack([plain(9, 5, 1)] * 5))) == 5
    assert len(classifier.classify([])) == 0
    assert classifier.probabilities([]).shape == (0, 3)
    assert classifier.prepare([]).shape == (0, 3, 6, 8)


def test_many_images_are_the_same_as_one_by_one(colours):
    images = [plain(*colour) for colour in np.random.default_rng(0).integers(0, 256, (37, 3))]
    classifier = ImageClassifier(colours, scale=0.01)
    together = classifier.probabilities(images)
    assert together.shape == (37, 3)
    np.testing.assert_allclose(together, [classifier.probabilities(image)[0] for image in images], rtol=1e-6)


def test_oversampling_averages_over_views(colours):
    image = np.zeros((12, 16, 3), np.uint8)
    image[:6, :8] = (255, 0, 0)  # red in one corner
    options = {"classes": NAMES, "resize": (12, 16), "scale": 1 / 255}
    middle = ImageClassifier(colours, **options).probabilities(image)[0]
    several = ImageClassifier(colours, **options, oversample=True).probabilities(image)[0]
    corner, quarter, none = softmax([1, 0, 0]), softmax([0.25, 0, 0]), softmax([0, 0, 0])
    np.testing.assert_allclose(middle, quarter, rtol=1e-5)
    np.testing.assert_allclose(several, (corner + quarter + 3 * none) / 5, rtol=1e-5)


def test_which_blob_and_whether_it_is_a_probability(backend, colours):
    assert ImageClassifier(colours).blob == "score"
    assert ImageClassifier(colours).softmax
    with Net("with softmax", backend, colour_layers(softmax=True)) as net:
        net.params["score"]["weight"] = colour_weights()
        classifier = ImageClassifier(net)
        assert (classifier.blob, classifier.softmax) == ("prob", False)
        by_scores = ImageClassifier(net, "score")
        assert by_scores.softmax
        np.testing.assert_allclose(
            classifier.probabilities(plain(3, 2, 1)), by_scores.probabilities(plain(3, 2, 1)), 1e-5
        )
        raw = ImageClassifier(net, "score", softmax=False).probabilities(plain(3, 2, 1))
        np.testing.assert_allclose(raw, [[3, 2, 1]], rtol=1e-5)
        assert "blob 'score' and softmax, 3 classes" in repr(by_scores)
    data = MemoryDataLayer(data=[np.zeros((2, 3, 6, 8), np.float32), np.zeros(2, np.float32)], batch_size=2)
    train = [data, *colour_layers()[1:], SoftmaxLossLayer(name="loss", bottoms=["score", "label"])]
    with Net("training", backend, train) as net:
        classifier = ImageClassifier(net, classes=NAMES)
        assert (classifier.blob, classifier.softmax) == ("score", True)
        assert classifier.classify(plain(0, 255, 0), top=1)[0].best.name == "green"  # shares the parameters


def test_scores_of_one_pixel(backend):
    layers = [
        MemoryDataLayer(data=[np.zeros((1, 1, 4, 4), np.float32)], tops=["data"], batch_size=1),
        ConvolutionLayer(name="conv", n_filter=2, kernel=4, bottoms=["data"], tops=["conv"]),
    ]
    with Net("convolution", backend, layers) as net:
        net.params["conv"]["filter"] = np.stack([np.full((1, 4, 4), 0.001), np.full((1, 4, 4), -0.001)])
        classifier = ImageClassifier(net, classes=["bright", "dark"], mean=128)
        assert classifier.classify(plain(255, 255, 255))[0].best.name == "bright"
        assert classifier.classify(plain(3, 3, 3))[0].best.name == "dark"


def test_features_by_a_predictor(colours):
    classifier = ImageClassifier(colours, mean=5)
    found = Predictor(colours, "score")(classifier.prepare([plain(6, 7, 8), plain(5, 5, 5)]))
    np.testing.assert_allclose(found, [[1, 2, 3], [0, 0, 0]], atol=1e-5)


def test_what_does_not_fit_is_refused(colours, backend, tmp_path):
    with pytest.raises(ConfigError, match="classes: 2 names, but blob 'score' of net 'colours' has 3 scores"):
        ImageClassifier(colours, classes=["a", "b"])
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    with pytest.raises(ConfigError, match=r"names\.txt: 4 names"):
        ImageClassifier(colours, classes=tmp_path / "names.txt")
    with pytest.raises(StateError, match=r"no blob 'scare'\. Did you mean 'score'"):
        ImageClassifier(colours, "scare")
    for top in (0, -1, True, 1.5):
        with pytest.raises(ConfigError, match="top is"):
            ImageClassifier(colours).classify(plain(1, 2, 3), top=top)
    flat = [
        MemoryDataLayer(data=[np.zeros((2, 20), np.float32)], tops=["data"], batch_size=2),
        InnerProductLayer(name="other", output_dim=3, bottoms=["data"], tops=["score"]),
    ]
    with Net("flat", backend, flat) as net, pytest.raises(ShapeError, match=r"\(20,\); expected an image"):
        ImageClassifier(net)
    two = MemoryDataLayer(data=[np.zeros((2, 3, 6, 8), np.float32)] * 2, tops=["data", "mask"], batch_size=2)
    both = InnerProductLayer(name="both", output_dim=3, bottoms=["data", "mask"], tops=["a", "b"])
    with Net("two", backend, [two, both]) as net:
        assert ImageClassifier(net, "a").blob == "a"
    mixed = ElementWiseLayer(name="mix", bottoms=["data", "mask"], tops=["mix"])
    last = InnerProductLayer(name="last", output_dim=3, bottoms=["mix"], tops=["last"])
    with Net("mixed", backend, [two, mixed, last]) as net, pytest.raises(ConfigError, match="on the data data, mask"):
        ImageClassifier(net)
    wide = [colour_layers()[0], ConvolutionLayer(name="wide", n_filter=3, kernel=3, bottoms=["data"], tops=["c"])]
    with Net("wide", backend, wide) as net, pytest.raises(ShapeError, match="one score for each class"):
        ImageClassifier(net)


def test_a_damaged_net_is_noticed(colours):
    colours.params["score"]["weight"] = np.full((3, 144), np.nan, np.float32)
    with pytest.raises(MochaError, match="blob 'score' is not finite"):
        ImageClassifier(colours).classify(plain(1, 1, 1))


def test_tables_and_notebooks(colours):
    names = ["red & <b>", "green", "x" * 60]
    classifier = ImageClassifier(colours, classes=names, scale=1 / 255)
    answers = classifier.classify([plain(255, 0, 0), plain(0, 255, 0, size=(700, 900))])
    lines = str(answers).splitlines()
    assert lines[0].split() == ["image", "rank", "probability", "class", "name"]
    assert lines[2].split() == ["image", "0", "1", "0.5761", "0", "red", "&", "<b>"]
    assert len(lines) == 2 + 6
    page = answers._repr_html_()
    assert page.count("<img") == page.count("<svg") == 2
    assert page.count("data:image/png;base64,") == 2
    assert "red &amp; &lt;b&gt;" in page
    assert "<b>" not in page
    assert "…" in page
    assert "57.6 %" in page
    assert max(answers[1].picture.shape) == 320  # not the whole photo
    assert answers[0]._repr_html_().count("<img") == 1
    assert repr(answers[0]) == "\n".join(lines[:5])
    widths = [float(w) for w in re.findall(r'width="([\d.]+)" height="4" rx="2" fill="#', page)]
    assert all(0 <= w <= 320 for w in widths)
    assert json.dumps([guess.probability for guess in answers[0]])  # plain numbers


def test_names_from_a_file(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("n02123045 tabby, tabby cat\nn02123159 tiger cat\n\n", encoding="utf-8")
    assert read_names(path) == ["tabby, tabby cat", "tiger cat"]
    path.write_text("n02123045 tabby\nplain\n", encoding="utf-8")
    assert read_names(path) == ["n02123045 tabby", "plain"]
    path.write_text("n02123045\nn02123159\n", encoding="utf-8")  # ids alone are names too
    assert read_names(path) == ["n02123045", "n02123159"]
    path.write_bytes("\ufeffKäse\r\n 水 \r\n".encode())
    assert read_names(path) == ["Käse", "水"]
    for text, told in ((b"a\n\nb\n", "line 2 is empty"), (b"", "the file is empty"), (b"\xff\xfe", "UTF-8"),
                       (b"a\nb\x00c\n", "line 2 is no name")):  # fmt: skip
        path.write_bytes(text)
        with pytest.raises(FormatError, match=told):
            read_names(path)
    with pytest.raises(FormatError, match="there is no such file"):
        read_names(tmp_path / "absent.txt")
    with path.open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(FormatError, match="expected a list of names"):
        read_names(path)
