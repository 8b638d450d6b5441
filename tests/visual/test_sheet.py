import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mocha.errors import ConfigError, ShapeError
from mocha.visual import blob_sheet, filter_sheet, save_image, sheet


def test_pixel_by_pixel():
    page = sheet([[[-2, 0, 1]], [[5, -5, 0]], [[0, 0, 0]]], columns=2, margin=1, zoom=1, background=(9, 8, 7))
    assert page.shape == (5, 9, 3)
    assert page[..., 0].tolist() == [
        [9] * 9,
        [9, 0, 128, 191, 9, 255, 0, 128, 9],
        [9] * 9,
        [9, 128, 128, 128, 9, 9, 9, 9, 9],
        [9] * 9,
    ]
    assert (page[0, 0] == (9, 8, 7)).all()


def test_zoom_and_margin():
    small = sheet(np.arange(8.0).reshape(2, 2, 2), columns=2, margin=0)
    large = sheet(np.arange(8.0).reshape(2, 2, 2), columns=2, margin=0, zoom=3)
    assert (large == small.repeat(3, 0).repeat(3, 1)).all()
    assert sheet(np.zeros((1, 2, 2)), zoom=9).shape == (24, 24, 3), "a margin of a third of the zoom"


def test_scales():
    pair = [[[1.0, 2.0]], [[10.0, 20.0]]]
    assert sheet(pair, columns=2, margin=0)[0, :, 0].tolist() == [191, 255, 191, 255]
    assert sheet(pair, columns=2, margin=0, common=True)[0, :, 0].tolist() == [134, 140, 191, 255]
    assert sheet(pair, columns=2, margin=0, symmetric=False)[0, :, 0].tolist() == [0, 255, 0, 255]


def test_colours_are_scaled_together():
    red = np.zeros((1, 3, 1, 2))
    red[0, :, 0, 0] = 1, -1, 0
    assert sheet(red, margin=0)[0].tolist() == [[255, 0, 128], [128, 128, 128]]
    assert filter_sheet(red, channel_order="bgr", margin=0)[0, 0].tolist() == [128, 0, 255]


def test_what_is_no_number_is_seen():
    page = sheet([[[np.nan, 1.0, -1.0, np.inf]]], margin=0)
    assert page[0].tolist() == [[214, 39, 120], [255] * 3, [0] * 3, [214, 39, 120]]


def test_filters_with_many_channels_get_a_row_each():
    filters = np.zeros((2, 5, 3, 3))
    assert filter_sheet(filters).shape == (2 * 4 + 1, 5 * 4 + 1, 3)
    filters[1, 2] = 7
    assert filter_sheet(filters, channel=2, margin=0, columns=2)[0, :, 0].tolist() == [128] * 3 + [255] * 3
    weights = np.arange(12.0).reshape(2, 6)
    assert (filter_sheet(weights, shape=(2, 3)) == sheet(weights.reshape(2, 2, 3))).all()
    assert (filter_sheet(weights[None, None], shape=(2, 3)) == sheet(weights.reshape(2, 2, 3))).all()


def test_a_filter_of_many_channels_is_scaled_as_one():
    filters = np.zeros((2, 4, 1, 1))
    filters[0, :, 0, 0] = 4, 2, -1, 0
    filters[1, 0] = 1
    assert filter_sheet(filters, margin=0)[..., 0].tolist() == [[255, 191, 96, 128], [255, 128, 128, 128]]
    assert filter_sheet(filters, margin=0, common=True)[..., 0].tolist() == [[255, 191, 96, 128], [159, 128, 128, 128]]


def test_a_wrong_channel_order():
    with pytest.raises(ConfigError, match="channel_order is 'hsv'; expected 'rgb' or 'bgr'"):
        filter_sheet(np.zeros((1, 3, 2, 2)), channel_order="hsv")


def test_a_row_an_example():
    blob = np.zeros((3, 4, 2, 2))
    assert blob_sheet(blob, margin=1, examples=2).shape == (2 * 3 + 1, 4 * 3 + 1, 3)
    assert blob_sheet(np.zeros((4, 3, 2, 2))).shape == (7, 7, 3)


@given(arrays(st.sampled_from([np.float64, np.float32, np.int64, np.bool_]), array_shapes(min_dims=3, max_dims=3)))
def test_any_numbers(array):
    page = sheet(array, margin=0, columns=1)
    assert page.shape == (array.shape[0] * array.shape[1], array.shape[2], 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sheet(np.zeros((2, 2))), r"shape \(2, 2\); expected numbers \(N, H, W\)"),
        (lambda: sheet(np.zeros((2, 5, 2, 2))), r"shape \(2, 5, 2, 2\)"),
        (lambda: sheet(np.zeros((0, 2, 2))), "none of them 0"),
        (lambda: sheet([[["a"]]]), "expected numbers"),
        (lambda: filter_sheet(np.zeros((3, 784))), "say with shape what the inputs are, as 28x28"),
        (lambda: filter_sheet(np.zeros((3, 784)), shape=(28, 29)), "input of 28x29"),
        (lambda: blob_sheet(np.zeros(3)), "expected"),
    ],
)
def test_wrong_shapes(call, message):
    with pytest.raises(ShapeError, match=message):
        call()


@pytest.mark.parametrize("wrong", [{"columns": 0}, {"margin": -1}, {"zoom": 0}, {"zoom": 10**6}, {"columns": True}])
def test_wrong_numbers(wrong):
    with pytest.raises(ConfigError):
        sheet(np.zeros((1, 2, 2)), **wrong)


def test_no_such_channel():
    with pytest.raises(ConfigError, match="channel is 4; expected one of 0 to 3"):
        filter_sheet(np.zeros((1, 4, 2, 2)), channel=4)


def test_files(tmp_path):
    image = pytest.importorskip("PIL.Image")
    page = sheet(np.random.default_rng(0).normal(size=(4, 5, 5)), zoom=3)
    assert (np.asarray(image.open(save_image(tmp_path / "f.png", page))) == page).all()
    with pytest.raises(ConfigError, match=r"\.txt is no format"):
        save_image(tmp_path / "f.txt", page)
    assert [path.name for path in tmp_path.iterdir()] == ["f.png"]
