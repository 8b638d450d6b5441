"""Images of another size, and crops of them."""

import tracemalloc

import numpy as np
import pytest

from mocha.data.images import fit_image, ten_crops
from mocha.errors import ShapeError

pytest.importorskip("PIL", reason="needs Pillow, of the extra [images]")


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
