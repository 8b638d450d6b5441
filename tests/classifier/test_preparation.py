"""What is done to an image before a net sees it."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import mocha.caffe as caffe
from mocha.classifier import Preparation, read_mean
from mocha.classifier.preparation import pixels_of
from mocha.errors import ConfigError, FormatError, ShapeError

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (6, 8, 3)).astype(np.uint8)
SHAPE = (3, 6, 8)


@pytest.mark.parametrize(
    "image",
    [
        PHOTO,
        PHOTO.astype(np.float64) / 255,
        (PHOTO / 255).astype(np.float32),
        Image.fromarray(PHOTO),
        np.dstack([PHOTO, np.full((6, 8), 255, np.uint8)]),
    ],
    ids=["bytes", "float64", "float32", "pillow", "with alpha"],
)
def test_every_kind_of_image_gives_the_same(image):
    np.testing.assert_array_equal(pixels_of(image), PHOTO)


def test_a_file_and_its_path_as_text(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    np.testing.assert_array_equal(pixels_of(tmp_path / "photo.png"), PHOTO)
    np.testing.assert_array_equal(pixels_of(str(tmp_path / "photo.png")), PHOTO)


def test_grey_and_colour():
    grey = PHOTO[:, :, 0]
    for image in (grey, grey[:, :, None], Image.fromarray(grey)):
        np.testing.assert_array_equal(pixels_of(image), np.repeat(grey[:, :, None], 3, axis=2))
        np.testing.assert_array_equal(pixels_of(image, color=False), grey[:, :, None])
    np.testing.assert_array_equal(pixels_of(PHOTO, color=False)[:, :, 0], Image.fromarray(PHOTO).convert("L"))


@pytest.mark.parametrize(
    ("image", "kind", "told"),
    [
        (np.zeros((3, 20, 30), np.uint8), ShapeError, r"\(3, 20, 30\); expected .*transpose\(1, 2, 0\) turns it"),
        (np.zeros((5, 5, 2), np.uint8), ShapeError, r"\(5, 5, 2\); expected an image"),
        (np.zeros((0, 5, 3), np.uint8), ShapeError, "expected an image"),
        (np.zeros(5, np.uint8), ShapeError, "expected an image"),
        (PHOTO.astype(np.float32), ConfigError, "floats from 0 to 255; expected 0 to 1|floats from .* expected 0 to 1"),
        (np.full((4, 4), np.nan), ConfigError, "floats from nan"),
        (PHOTO.astype(np.int64), ConfigError, "int64; expected uint8"),
        (17, ConfigError, "received int; expected the path"),
        ([[1, 2]], ConfigError, "received list"),
        ("nowhere.png", FormatError, "nowhere.png: no image can be read"),
    ],
)
def test_what_is_no_image_is_refused(image, kind, told):
    with pytest.raises(kind, match=told):
        pixels_of(image)


def test_the_order_of_operations():
    prepare = Preparation(SHAPE, channel_order="bgr", mean=[10, 20, 30], scale=0.5)
    expected = (PHOTO.transpose(2, 0, 1)[::-1].astype(np.float32) - np.array([10, 20, 30])[:, None, None]) * 0.5
    np.testing.assert_array_equal(prepare(PHOTO), expected[None])
    assert prepare(PHOTO).dtype == np.float32


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.integers(0, 5), st.sampled_from(["rgb", "bgr"]))
def test_the_middle_of_what_was_resized_is_seen(height, width, more, wider, order):
    image = RNG.integers(0, 256, (height + more, width + wider, 3)).astype(np.uint8)
    prepare = Preparation((3, height, width), resize=(height + more, width + wider), channel_order=order)
    seen = prepare(image)
    planes = image.transpose(2, 0, 1)[:: -1 if order == "bgr" else 1]
    np.testing.assert_array_equal(seen[0], planes[:, more // 2 : more // 2 + height, wider // 2 : wider // 2 + width])


def test_a_mean_image_is_subtracted_where_it_fits():
    mean = RNG.uniform(0, 255, (3, 8, 10)).astype(np.float32)
    large = RNG.integers(0, 256, (8, 10, 3)).astype(np.uint8)
    planes = large.transpose(2, 0, 1).astype(np.float32)
    before = Preparation(SHAPE, resize=(8, 10), mean=mean)(large)[0]
    np.testing.assert_array_equal(before, (planes - mean)[:, 1:7, 1:9])
    after = Preparation(SHAPE, resize=(8, 10), mean=mean[:, :6, :8])(large)[0]
    np.testing.assert_array_equal(after, planes[:, 1:7, 1:9] - mean[:, :6, :8])
    photo = PHOTO.transpose(2, 0, 1).astype(np.float32)
    grey = np.asarray(Image.fromarray(PHOTO).convert("L"), np.float32)
    one = Preparation((1, 6, 8), mean=mean[0, :6, :8])(PHOTO)
    np.testing.assert_array_equal(one, (grey - mean[0, :6, :8])[None, None])
    four_axes = Preparation(SHAPE, mean=[[*mean[:, :6, :8]]])(PHOTO)[0]
    np.testing.assert_array_equal(four_axes, photo - mean[:, :6, :8])


def test_views():
    large = RNG.integers(0, 256, (8, 10, 3)).astype(np.uint8)
    prepare = Preparation(SHAPE, resize=(8, 10), oversample=True)
    assert prepare.crops == 10
    expected = caffe.io.oversample([large.astype(np.float32)], (6, 8)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(prepare(large), expected)
    two = Preparation(SHAPE, oversample=True)
    assert two.crops == len(two(PHOTO)) == 2
    np.testing.assert_array_equal(two(PHOTO)[1], two(PHOTO)[0][:, :, ::-1])


def test_grey_for_a_net_of_colours():
    seen = Preparation(SHAPE, grey=True)(PHOTO)[0]
    np.testing.assert_array_equal(seen[0], np.asarray(Image.fromarray(PHOTO).convert("L")))
    np.testing.assert_array_equal(seen, np.repeat(seen[:1], 3, axis=0))


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"shape": (784,)}, ShapeError, r"\(784,\); expected an image"),
        ({"shape": (2, 6, 8)}, ShapeError, "1 or 3 channels"),
        ({"fit": "crush"}, ConfigError, "fit is 'crush'"),
        ({"channel_order": "brg"}, ConfigError, "channel_order is 'brg'; expected one of rgb, bgr"),
        ({"shape": (1, 6, 8), "grey": False}, ConfigError, "one channel; leave it out"),
        ({"scale": float("nan")}, ConfigError, "scale is nan"),
        ({"scale": 0}, ConfigError, "other than 0"),
        ({"scale": "1"}, ConfigError, "scale is '1'"),
        ({"resize": 6}, ConfigError, r"resize is \(6, 6\); expected at least \(6, 8\)"),
        ({"resize": (10, 10, 10)}, ConfigError, "resize is"),
        ({"resize": True}, ConfigError, "resize is True"),
        ({"mean": [1, 2]}, ShapeError, r"the mean: it has the shape \(2,\); expected one number, 3 \(one a channel\)"),
        ({"mean": np.zeros((3, 9, 9))}, ShapeError, r"With resize=\(9, 9\) it would fit"),
        ({"mean": np.zeros((1, 6, 8))}, ShapeError, r"\(1, 6, 8\)"),
        ({"mean": ["a"]}, ConfigError, "expected numbers"),
        ({"mean": float("inf")}, ConfigError, "not finite"),
    ],
)
def test_what_cannot_be_is_refused(options, kind, told):
    with pytest.raises(kind, match=told):
        Preparation(**{"shape": SHAPE, **options})


def test_means_from_files(tmp_path):
    mean = RNG.uniform(0, 255, SHAPE).astype(np.float32)
    with h5py.File(tmp_path / "mean.hdf5", "w") as file:
        file["mean"] = mean
    caffe.write_mean(tmp_path / "mean.binaryproto", mean)
    caffe.write_mean(tmp_path / "MEAN.BINARYPROTO", mean)
    expected = PHOTO.transpose(2, 0, 1) - mean
    for name in ("mean.hdf5", "mean.binaryproto", "MEAN.BINARYPROTO"):
        np.testing.assert_array_equal(read_mean(tmp_path / name), mean)
        np.testing.assert_array_equal(Preparation(SHAPE, mean=tmp_path / name)(PHOTO)[0], expected)
    with pytest.raises(ShapeError, match=r"mean.hdf5: it has the shape \(3, 6, 8\)"):
        Preparation((3, 5, 5), mean=tmp_path / "mean.hdf5")
    (tmp_path / "broken.hdf5").write_bytes(b"nothing")
    for name in ("broken.hdf5", "absent.hdf5", "absent.binaryproto"):
        with pytest.raises(FormatError, match=name):
            read_mean(tmp_path / name)
