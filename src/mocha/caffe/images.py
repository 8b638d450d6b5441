"""Images as pycaffe has them: float32 (H, W, K), RGB between 0 and 1. Reading them needs Pillow.

Resizing is written here, as results of trained nets depend on it to the last digits: bilinear, pixels taken as areas,
zero outside the image, no smoothing before shrinking.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.data.images import open_image, ten_crops
from mocha.errors import ConfigError, ShapeError

Image = npt.NDArray[np.float32]

_GRAY: Image = np.array([0.2125, 0.7154, 0.0721], np.float32)  # of linear RGB, ITU-R BT.709
_HIGH = (1 << 16) - 1


def load_image(filename: str | os.PathLike[str], color: bool = True) -> Image:
    """An image from a file.

    Args:
        filename: a file of a format that Pillow reads.
        color: give RGB, whatever the file has; else gray.

    Returns:
        (H, W, 3) or (H, W, 1), float32, 0 to 1. Transparency is dropped.

    Raises:
        FormatError: there is no such file, or it is damaged or no image.
        MochaError: Pillow is not installed.
    """
    return _pixels(open_image(filename), color)


def _pixels(image: Any, color: bool) -> Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits, or numbers that are as they are
        values = np.asarray(image, np.float32)
        gray = values if image.mode == "F" else values / np.float32(_HIGH)
        return np.repeat(gray[:, :, None], 3 if color else 1, axis=2)
    if not color and image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"), np.float32)[:, :, None] / np.float32(255)
    pixels = np.asarray(image.convert("RGB"), np.float32) / np.float32(255)
    return np.asarray(pixels if color else (pixels @ _GRAY)[:, :, None], np.float32)


def resize_image(im: npt.ArrayLike, new_dims: Sequence[int], interp_order: int = 1) -> Image:
    """An image of another size.

    An image of one or three channels is taken to the range 0 to 1 first and back afterwards, so that what lies outside
    of it counts as its smallest value. Images of other channels (features, say) are stretched so that their corner
    pixels stay corner pixels.

    Args:
        im: (H, W, K).
        new_dims: the new height and width.
        interp_order: 1 for bilinear, 0 for the nearest pixel.

    Returns:
        (height, width, K), float32.

    Raises:
        ShapeError: the image has not three axes, or no pixels, or a size is not positive.
        ConfigError: another order.
    """
    image = np.asarray(im, np.float32)
    height, width = (int(size) for size in new_dims)
    if image.ndim != 3 or image.size == 0 or min(height, width) < 1:
        raise ShapeError(
            f"image: shape {image.shape} to size {(height, width)}; expected (height, width, channels) and sizes of "
            "at least 1."
        )
    if interp_order not in (0, 1):
        raise ConfigError(f"interp_order is {interp_order!r}; expected 1 for bilinear or 0 for the nearest pixel.")
    if image.shape[2] not in (1, 3):
        return _resampled(image, height, width, interp_order, corners=True)
    low, high = float(image.min()), float(image.max())
    if not high > low:
        return np.full((height, width, image.shape[2]), low, np.float32)
    scaled = _resampled((image - low) / (high - low), height, width, interp_order, corners=False)
    return np.asarray(scaled * (high - low) + low, np.float32)


def _resampled(image: Image, height: int, width: int, order: int, *, corners: bool) -> Image:
    rows = _weights(image.shape[0], height, order, corners)
    columns = _weights(image.shape[1], width, order, corners)
    return np.asarray(np.einsum("ih,hwk,jw->ijk", rows, image, columns, optimize=True), np.float32)


def _weights(old: int, new: int, order: int, corners: bool) -> npt.NDArray[np.float64]:
    """What each of the old pixels of an axis counts in each of the new: (new, old)."""
    at = np.arange(new)
    places = at * ((old - 1) / max(new - 1, 1)) if corners else (at + 0.5) * (old / new) - 0.5
    if order == 0:
        places = np.clip(np.floor(places + 0.5), 0, old - 1)
    below = np.floor(places).astype(int)
    share = places - below
    weights = np.zeros((new, old))
    for index, part in ((below, 1 - share), (below + 1, share)):
        inside = (index >= 0) & (index < old)
        weights[at[inside], index[inside]] += part[inside]
    return weights


def oversample(images: Iterable[npt.ArrayLike], crop_dims: Sequence[int]) -> Image:
    """Ten crops of each image: top left, top right, bottom left, bottom right, centre; then these five mirrored.

    Args:
        images: (H, W, K) each, all of the size of the first.
        crop_dims: height and width of a crop.

    Returns:
        (10 N, height, width, K), the ten of an image side by side.

    Raises:
        ShapeError: the crops are larger than the images, or there are none.
    """
    stack = [np.asarray(image, np.float32) for image in images]
    height, width = (int(size) for size in crop_dims)
    if not stack or any(image.ndim != 3 or image.shape != stack[0].shape for image in stack):
        raise ShapeError(f"images of shapes {[image.shape for image in stack]}; expected (H, W, K), all the same.")
    return np.stack([crop for image in stack for crop in ten_crops(image, (height, width))])
