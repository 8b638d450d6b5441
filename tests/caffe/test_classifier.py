"""Classifying whole images and windows of them, with a net small enough to do it by hand."""

from pathlib import Path

import numpy as np
import pytest

import mocha.caffe as caffe
from mocha.errors import ConfigError, ShapeError

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 3 dim: 4 dim: 4 } } }
layer { name: "mean" type: "Pooling" bottom: "data" top: "mean" pooling_param { pool: AVE global_pooling: true } }
layer { name: "flat" type: "Flatten" bottom: "mean" top: "flat" }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip" inner_product_param { num_output: 2 } }
"""
WEIGHT = np.array([[1.0, 10.0, 100.0], [-1.0, 0.0, 1.0]])


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    net = caffe.Net("net.prototxt", caffe.TEST)
    net.params["ip"][0].data[...] = WEIGHT
    net.save("w.caffemodel")


def images(count, size=(6, 8)):
    return [np.random.default_rng(i).random((*size, 3)).astype(np.float32) for i in range(count)]


def scores(crop):
    """Of a crop (4, 4, 3)."""
    return WEIGHT @ crop.mean(axis=(0, 1))


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_the_middle_of_images(count):
    made = caffe.Classifier("net.prototxt", "w.caffemodel", image_dims=(6, 8))
    given = images(count)
    found = made.predict(given, oversample=False)
    assert found.shape == (count, 2)
    for row, image in zip(found, given, strict=True):
        np.testing.assert_allclose(row, scores(image[1:5, 2:6]), rtol=1e-4, atol=1e-5)


def test_ten_crops_are_averaged():
    made = caffe.Classifier("net.prototxt", "w.caffemodel", image_dims=(6, 8))
    for row, image in zip(made.predict(images(2)), images(2), strict=True):
        crops = [image[:4, :4], image[:4, 4:], image[2:, :4], image[2:, 4:], image[1:5, 2:6]]
        np.testing.assert_allclose(row, np.mean([scores(crop) for crop in crops], axis=0), rtol=1e-4, atol=1e-5)


def test_images_are_prepared_as_in_the_training():
    made = caffe.Classifier(
        "net.prototxt", "w.caffemodel", image_dims=(6, 8), mean=np.array([1.0, 2.0, 3.0]), input_scale=0.5,
        raw_scale=255, channel_swap=(2, 1, 0),
    )  # fmt: skip
    (image,) = images(1)
    crop = 0.5 * (255 * image[1:5, 2:6, ::-1] - [1, 2, 3])
    np.testing.assert_allclose(made.predict([image], oversample=False)[0], scores(crop), rtol=1e-4, atol=1e-3)


def test_images_get_the_nets_own_size_unless_told():
    made = caffe.Classifier("net.prototxt", "w.caffemodel")
    assert made.image_dims == (4, 4)
    assert made.predict([np.full((9, 5, 3), 0.25)]).shape == (1, 2)
    np.testing.assert_allclose(made.predict([np.full((9, 5, 3), 0.25)])[0], 0.25 * WEIGHT.sum(axis=1), rtol=1e-5)


def test_what_cannot_be_classified():
    with pytest.raises(RuntimeError, match=r"no.prototxt"):
        caffe.Classifier("no.prototxt", "w.caffemodel")
    with pytest.raises(RuntimeError, match=r"no.caffemodel"):
        caffe.Classifier("net.prototxt", "no.caffemodel")
    with pytest.raises(ConfigError, match=r"image_dims is \(3, 8\); expected at least \(4, 4\)"):
        caffe.Classifier("net.prototxt", "w.caffemodel", image_dims=(3, 8))
    with pytest.raises(ConfigError, match="no images"):
        caffe.Classifier("net.prototxt", "w.caffemodel").predict([])
    Path("bare.prototxt").write_text(NET.replace('"Input"', '"DummyData"').replace("input_param", "dummy_data_param"))
    with pytest.raises(ConfigError, match=r"bare.prototxt: the net has no Input layer"):
        caffe.Classifier("bare.prototxt", "w.caffemodel")


@pytest.fixture
def photo():
    image = pytest.importorskip("PIL.Image", reason="needs Pillow, of the extra [caffe]")
    pixels = np.random.default_rng(5).integers(0, 256, (12, 10, 3), np.uint8)
    image.fromarray(pixels).save("photo.png")
    return pixels / 255


def test_windows_of_a_file(photo):
    made = caffe.Detector("net.prototxt", "w.caffemodel")
    windows = np.array([[0, 0, 4, 4], [5, 3, 9, 7], [1, 2, 9, 10], [8, 6, 12, 10]])
    found = made.detect_windows([("photo.png", windows), ("photo.png", [0, 0, 12, 10])])
    assert len(found) == 5
    assert {record["filename"] for record in found} == {"photo.png"}
    for record, window in zip(found, windows, strict=False):
        np.testing.assert_array_equal(record["window"], window)
        assert record["prediction"].shape == (2,)
    for i, (y, x) in ((0, (0, 0)), (1, (5, 3)), (3, (8, 6))):
        np.testing.assert_allclose(found[i]["prediction"], scores(photo[y : y + 4, x : x + 4]), rtol=1e-4, atol=1e-5)
    assert made.detect_windows([]) == []
    (one,) = made.detect_windows([("photo.png", [[0, 0, 4, 4]])])
    np.testing.assert_allclose(one["prediction"], found[0]["prediction"], rtol=1e-6)


@pytest.mark.parametrize("window", [(0, 0, 13, 4), (-1, 0, 4, 4), (4, 4, 4, 8), (0, 8, 4, 4)])
def test_windows_that_are_none(photo, window):
    with pytest.raises(ShapeError, match="expected ymin, xmin, ymax, xmax within"):
        caffe.Detector("net.prototxt", "w.caffemodel").detect_windows([("photo.png", [window])])


def test_surroundings_of_windows_have_the_colour_of_the_mean_beyond_the_image(photo):
    mean = np.array([10.0, 20.0, 30.0])
    made = caffe.Detector(
        "net.prototxt", "w.caffemodel", mean=mean, raw_scale=255, channel_swap=(2, 1, 0), context_pad=1
    )
    np.testing.assert_allclose(made.crop_mean, np.broadcast_to(mean[::-1] / 255, (4, 4, 3)), rtol=1e-6)
    for window in ([0, 0, 5, 5], [7, 5, 12, 10], [3, 3, 7, 7], [0, 0, 12, 10]):
        crop = made.crop(photo, window)
        assert crop.shape == (4, 4, 3)
        assert np.isfinite(crop).all()
    corner = made.crop(photo, [0, 0, 5, 5])
    np.testing.assert_allclose(corner[0, 0], mean[::-1] / 255, rtol=1e-6)
    assert made.detect_windows([("photo.png", [[0, 0, 5, 5]])])[0]["prediction"].shape == (2,)
    plain = caffe.Detector("net.prototxt", "w.caffemodel", context_pad=1)
    assert not plain.crop_mean.any()
    with pytest.raises(ConfigError, match="context_pad is 2; expected 0 to 1"):
        plain.configure_crop(2)
