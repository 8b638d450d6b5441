from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mocha.caffe as caffe
from mocha.caffe import io
from mocha.caffe.proto import caffe_pb2
from mocha.errors import ConfigError, FormatError, MochaError, ShapeError


def picture(height=6, width=8, channels=3, seed=0):
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


@pytest.mark.parametrize("size", [(12, 16), (3, 4), (5, 11), (6, 8), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_is_bilinear_with_zero_outside(size, channels):
    ndimage = pytest.importorskip("scipy.ndimage")
    image = picture(channels=channels)
    low, high = image.min(), image.max()
    zoom = (size[0] / 6, size[1] / 8, 1)
    scaled = ndimage.zoom((image - low) / (high - low), zoom, order=1, mode="grid-constant", grid_mode=True)
    np.testing.assert_allclose(io.resize_image(image, size), scaled * (high - low) + low, atol=2e-6)


@pytest.mark.parametrize("size", [(12, 16), (3, 4), (5, 11), (6, 8)])
def test_resizing_of_other_channels_keeps_the_corners(size):
    ndimage = pytest.importorskip("scipy.ndimage")
    image = picture(channels=5)
    expected = ndimage.zoom(image, (size[0] / 6, size[1] / 8, 1), order=1)
    np.testing.assert_allclose(io.resize_image(image, size), expected, atol=2e-6)


def test_resizing_by_hand():
    image = np.array([[0.0, 4.0]], np.float32)[:, :, None]
    # Pixels are areas: new centres lie at -0.25, 0.25, 0.75, 1.25, and outside of the image is the smallest value.
    np.testing.assert_allclose(io.resize_image(image, (1, 4))[0, :, 0], [0, 1, 3, 3])
    np.testing.assert_allclose(io.resize_image(image, (1, 4), interp_order=0)[0, :, 0], [0, 0, 4, 4])


def test_constant_images_stay_constant():
    assert (io.resize_image(np.full((4, 5, 3), 7.0), (9, 2)) == 7).all()


@pytest.mark.parametrize(
    ("image", "size", "error"),
    [
        (np.zeros((4, 5)), (2, 2), ShapeError),
        (np.zeros((0, 5, 3)), (2, 2), ShapeError),
        (np.zeros((4, 5, 3)), (0, 2), ShapeError),
    ],
)
def test_images_that_cannot_be_resized(image, size, error):
    with pytest.raises(error, match="image: shape"):
        io.resize_image(image, size)
    with pytest.raises(ConfigError, match="interp_order"):
        io.resize_image(picture(), (2, 2), interp_order=3)


def test_ten_crops():
    images = [picture(5, 6, seed=seed) for seed in range(2)]
    crops = io.oversample(images, (2, 3))
    assert crops.shape == (20, 2, 3, 3)
    assert crops.dtype == np.float32
    for at, image in enumerate(images):
        ten = crops[10 * at : 10 * at + 10]
        corners = [image[:2, :3], image[:2, -3:], image[-2:, :3], image[-2:, -3:], image[1:3, 1:4]]
        np.testing.assert_array_equal(ten[:5], corners)
        np.testing.assert_array_equal(ten[5:], ten[:5, :, ::-1])
    with pytest.raises(ShapeError, match="smaller"):
        io.oversample(images, (6, 3))
    with pytest.raises(ShapeError, match="all the same"):
        io.oversample([images[0], images[1][:3]], (2, 2))


def transformer():
    made = io.Transformer({"data": (1, 3, 6, 8)})
    made.set_transpose("data", (2, 0, 1))
    made.set_channel_swap("data", (2, 1, 0))
    made.set_raw_scale("data", 255)
    made.set_mean("data", np.array([104, 117, 123]))
    made.set_input_scale("data", 0.5)
    return made


def test_preprocessing_is_in_the_order_of_caffe():
    image = picture()
    before = image.copy()
    got = transformer().preprocess("data", image)
    expected = (image.transpose(2, 0, 1)[::-1] * 255 - np.array([104, 117, 123])[:, None, None]) * 0.5
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(image, before)
    larger = transformer().preprocess("data", picture(12, 16))
    np.testing.assert_allclose(
        larger, transformer().preprocess("data", io.resize_image(picture(12, 16), (6, 8))), atol=1e-4
    )


def test_deprocessing_goes_back():
    image = picture()
    made = transformer()
    np.testing.assert_allclose(made.deprocess("data", made.preprocess("data", image)[None]), image, atol=1e-5)
    empty = io.Transformer({"data": (1, 3, 6, 8)})
    np.testing.assert_array_equal(empty.preprocess("data", image), image)


def test_means_that_are_images():
    made = io.Transformer({"data": (1, 3, 6, 8)})
    made.set_transpose("data", (2, 0, 1))
    mean = picture(12, 16).transpose(2, 0, 1)
    made.set_mean("data", mean)
    np.testing.assert_allclose(
        made.mean["data"], io.resize_image(mean.transpose(1, 2, 0), (6, 8)).transpose(2, 0, 1), atol=1e-6
    )
    made.set_mean("data", np.full((3, 4, 4), 5.0))
    assert (made.mean["data"] == 5).all()
    made.set_mean("data", np.ones((6, 8)))
    assert made.preprocess("data", picture()).shape == (3, 6, 8)


@pytest.mark.parametrize(
    ("call", "value", "error"),
    [
        ("set_transpose", (2, 0), ConfigError),
        ("set_transpose", (2, 0, 0), ConfigError),
        ("set_channel_swap", (1, 0), ConfigError),
        ("set_channel_swap", (1, 0, 3), ConfigError),
        ("set_mean", np.zeros(4), ShapeError),
        ("set_mean", np.zeros((4, 6, 8)), ShapeError),
        ("set_mean", np.zeros((1, 3, 6, 8)), ShapeError),
    ],
)
def test_settings_that_cannot_be(call, value, error):
    made = io.Transformer({"data": (1, 3, 6, 8)})
    with pytest.raises(error):
        getattr(made, call)("data", value)
    with pytest.raises(ConfigError, match=r"'dat' is not one of the net inputs.*'data'"):
        getattr(made, call)("dat", value)


def test_a_mean_before_the_transpose_is_refused():
    made = io.Transformer({"data": (1, 3, 6, 8)})
    made.set_mean("data", np.ones((3, 6, 8)))
    with pytest.raises(ShapeError, match="transpose"):
        made.preprocess("data", picture())


def test_blobs():
    blob = caffe_pb2.BlobProto(data=range(100), num=1, channels=1, height=10, width=10)
    assert io.blobproto_to_array(blob).shape == (1, 1, 10, 10)
    with pytest.raises(ValueError, match="100 values"):
        io.blobproto_to_array(caffe_pb2.BlobProto(data=range(100)))
    assert io.blobproto_to_array(caffe_pb2.BlobProto(data=[123])) == 123
    blob = io.array_to_blobproto(np.ones((2, 3)), np.zeros((2, 3)))
    assert (list(blob.data), list(blob.diff), list(blob.shape.dim)) == ([1] * 6, [0] * 6, [2, 3])
    assert (io.blobproto_to_array(blob, return_diff=True) == 0).all()


def test_lists_of_arrays():
    arrays = [np.ones((2, 3), np.float32), np.zeros(4, np.float32)]
    data = io.arraylist_to_blobprotovector_str(arrays)
    for got, expected in zip(io.blobprotovector_str_to_arraylist(data), arrays, strict=True):
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(FormatError):
        io.blobprotovector_str_to_arraylist(data[:-1])


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(0, 4)] * 3), st.booleans())
def test_data(shape, whole):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, shape).astype(np.uint8) if whole else rng.random(shape)
    got = io.datum_to_array(caffe_pb2.Datum.FromString(io.array_to_datum(array, 3).SerializeToString()))
    np.testing.assert_array_equal(got, array if whole else array.astype(np.float32))
    assert io.array_to_datum(array, 3).label == 3
    assert not io.array_to_datum(array).HasField("label")


def test_data_that_cannot_be():
    with pytest.raises(ValueError, match="Incorrect array shape"):
        io.array_to_datum(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="2 values"):
        io.datum_to_array(caffe_pb2.Datum(channels=1, height=1, width=3, data=b"ab"))
    with pytest.raises(ConfigError, match="encoded"):
        io.datum_to_array(caffe_pb2.Datum(encoded=True, data=b"ab"))


@pytest.mark.parametrize(
    ("mode", "shape", "high"),
    [("RGB", (4, 5, 3), 255), ("RGBA", (4, 5, 4), 255), ("L", (4, 5), 255), ("I;16", (4, 5), 65535)],
)
def test_images_from_files(tmp_path, mode, shape, high):
    image_module = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, high + 1, shape).astype(np.uint16 if high > 255 else np.uint8)
    size = (shape[1], shape[0])
    image_module.frombytes(mode, size, values.tobytes()).save(tmp_path / "i.png")
    color = io.load_image(tmp_path / "i.png")
    gray = io.load_image(str(tmp_path / "i.png"), color=False)
    assert color.dtype == gray.dtype == np.float32
    assert (color.shape, gray.shape) == ((4, 5, 3), (4, 5, 1))
    rgb = values[:, :, :3] / high if len(shape) == 3 else np.repeat(values[:, :, None], 3, axis=2) / high
    np.testing.assert_allclose(color, rgb, atol=1e-6)
    np.testing.assert_allclose(gray[:, :, 0], rgb @ [0.2125, 0.7154, 0.0721], atol=1e-6)


def test_files_that_are_no_images(tmp_path):
    pytest.importorskip("PIL.Image")
    for data in (b"", b"\x89PNG\r\n\x1a\n", b"BM" + bytes(60), b"GIF89a\xff\xff\xff\xff"):
        (tmp_path / "i").write_bytes(data)
        with pytest.raises(FormatError, match="no image"):
            io.load_image(tmp_path / "i")
    with pytest.raises(FormatError, match="no image"):
        io.load_image(tmp_path / "none")


def test_without_pillow_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(MochaError, match=r"mocha-dl\[images\]"):
        io.load_image("x")


def test_the_names_of_pycaffe():
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)
    assert caffe.proto.caffe_pb2 is caffe_pb2
    assert caffe.NetSpec is caffe.net_spec.NetSpec
    assert caffe.layers is caffe.net_spec.layers
    assert caffe.coord_map.crop
    for name in caffe.__all__:
        assert hasattr(caffe, name)
