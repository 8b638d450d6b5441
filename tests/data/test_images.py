"""Images of another size, and crops of them."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocha.data.images import checked_size, fit_image, image_pixels, read_image, ten_crops
from mocha.errors import ConfigError, FormatError, ShapeError

Image = pytest.importorskip("PIL.Image", reason="needs Pillow, of the extra [images]")


@pytest.mark.parametrize("shape", [(1, 30000), (30000, 1), (2, 60000)])
def test_a_line_of_pixels_fills_no_memory(shape):
    line = np.zeros((*shape, 3), np.uint8)
    middle = tuple(slice(n // 2 - 2000, n // 2 + 2000) if n > 9 else slice(None) for n in shape)
    line[middle] = (10, 20, 30)
    tracemalloc.start()
    fitted = fit_image(line, (200, 300), "crop")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (fitted == (10, 20, 30)).all()
    assert fitted.shape == (200, 300, 3)
    assert peak < 100e6


@settings(max_examples=40, deadline=None)
@given(*[st.integers(1, 60)] * 4, st.sampled_from([1, 3]))
def test_a_crop_is_the_middle_of_the_whole_resized(height, width, new_height, new_width, channels):
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)
    scale = max(new_height / height, new_width / width)
    whole = fit_image(image, (max(1, round(height * scale)), max(1, round(width * scale))))
    top, left = (whole.shape[0] - new_height) // 2, (whole.shape[1] - new_width) // 2
    expected = whole[top : top + new_height, left : left + new_width].astype(int)
    found = fit_image(image, (new_height, new_width), "crop")
    assert found.shape == (new_height, new_width, channels)
    assert abs(found - expected).max() <= 1


@pytest.mark.parametrize("shape", [(60000, 1), (1, 60000)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_long_images_fit_in_every_way(shape, fit):
    assert fit_image(np.full((*shape, 3), 9, np.uint8), (227, 227), fit).shape == (227, 227, 3)


@pytest.mark.parametrize("size", [0, (3, 0), (3,), "8x8", True, 20_001, (20_000, 20_000), 2.5, None])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ConfigError, match=r"size is .*; expected \(height, width\) in pixels"):
        checked_size(size)


def test_colours_of_printers_and_of_science(tmp_path):
    lab = Image.new("LAB", (4, 3), (128, 128, 128))
    lab.save(tmp_path / "lab.tif")
    colours, grey = (read_image(tmp_path / "lab.tif", color=color) for color in (True, False))
    assert (colours.shape, grey.shape) == ((3, 4, 3), (3, 4, 1))
    np.testing.assert_array_equal(grey[:, :, 0], np.asarray(Image.fromarray(colours).convert("L")))
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    Image.fromarray(values).save(tmp_path / "f.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "f.tif", color=False)[:, :, 0], np.rint(values * 255))
    assert read_image(tmp_path / "f.tif").shape == (3, 4, 3)
    for wrong in (values * 255, values - 0.5, np.full((3, 4), np.nan, np.float32)):
        Image.fromarray(wrong).save(tmp_path / "wrong.tif")
        with pytest.raises(FormatError, match=r"wrong\.tif: an image of floats from .*; expected 0 for black to 1"):
            read_image(tmp_path / "wrong.tif")


def test_an_image_of_pillows_that_ends_too_early(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes()[:2000])
    with Image.open(tmp_path / "x.png") as image, pytest.raises(FormatError, match=r"x\.png: no image can be read"):
        image_pixels(image)


def test_ten_crops_are_corners_middle_and_their_mirrors():
    image = np.arange(7 * 9).reshape(7, 9, 1)
    crops = ten_crops(image, (3, 5))
    assert [int(crop[0, 0, 0]) for crop in crops[:5]] == [0, 4, 36, 40, 20]
    assert all(crop.shape == (3, 5, 1) for crop in crops)
    for plain, mirrored in zip(crops[:5], crops[5:], strict=True):
        np.testing.assert_array_equal(mirrored, plain[:, ::-1])
    for size in ((8, 5), (3, 10), (0, 5)):
        with pytest.raises(ShapeError, match="must be smaller"):
            ten_crops(image, size)
