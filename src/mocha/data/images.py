"""Images from files, as arrays of bytes, and brought to the size that a net wants. Needs Pillow.

What prepares the images of a training and what classifies a photo later use these functions alike, so that a net sees
the second as it saw the first. (Caffe's scripts resize in another way: `mocha.caffe.images`.)
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mocha.errors import ConfigError, FormatError, ShapeError
from mocha.optional import optional

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3), red, green, blue, or (H, W, 1), grey: 0 to 255."""

Fit = Literal["stretch", "crop", "pad"]

FITS: tuple[Fit, ...] = ("stretch", "crop", "pad")

# What Pillow raises when a file is damaged, beside its own exceptions; found by damaging files at random.
_DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, MemoryError, ArithmeticError, LookupError, TypeError, AttributeError,
    struct.error, zlib.error,
)  # fmt: skip

_MOST_PIXELS = 1 << 28

_EXCESS = 1000
"""How many times the pixels that are wanted may be computed to cut them out."""

ENDINGS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Endings of files that are taken for images when a folder is searched, in lower case."""


def open_image(path: str | os.PathLike[str]) -> Any:
    """An image from a file, decoded, as Pillow has it.

    Raises:
        FormatError: there is no such file, or it is damaged, no image, or of far too many pixels.
        MochaError: Pillow is not installed.
    """
    pillow = optional("PIL.Image", "reading images")
    try:
        with pillow.open(path) as image:
            image.load()
            return image
    except (*_DAMAGE, pillow.DecompressionBombError) as error:
        raise FormatError(f"{os.fspath(path)}: no image can be read ({error}). Check the path and the file.") from error


def read_image(path: str | os.PathLike[str], *, color: bool = True) -> Pixels:
    """An image from a file, the way up that its camera noted.

    Args:
        path: a file of a format that Pillow reads; of an animation the first picture is taken.
        color: give red, green and blue, whatever the file has; else grey (ITU-R BT.601).

    Returns:
        (H, W, 3) or (H, W, 1). What is transparent is white; 16 bits become 8.

    Raises:
        FormatError: there is no such file, or it is damaged or no image.
        MochaError: Pillow is not installed.
    """
    return image_pixels(open_image(path), color=color)


def image_pixels(image: Any, *, color: bool = True) -> Pixels:
    """A Pillow image as bytes; see `read_image`.

    Args:
        image: a `PIL.Image.Image`.
        color: give red, green and blue; else grey.

    Returns:
        (H, W, 3) or (H, W, 1).
    """
    try:
        turned = optional("PIL.ImageOps", "reading images").exif_transpose(image)
    except _DAMAGE:  # the note of the camera is damaged, the picture is not
        turned = image
    if turned.mode.startswith("I"):  # whole numbers of 16 bits or more
        values = np.clip(np.asarray(turned, np.int64) >> 8, 0, 255).astype(np.uint8)
        return np.repeat(values[:, :, None], 3 if color else 1, axis=2)
    if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
        with_alpha = turned.convert("RGBA")
        turned = optional("PIL.Image", "reading images").new("RGBA", with_alpha.size, "white")
        turned.alpha_composite(with_alpha)
    pixels: Pixels = np.array(turned.convert("RGB" if color else "L"))
    return pixels if color else pixels[:, :, None]


def fit_image(image: Pixels, size: tuple[int, int], fit: Fit = "stretch") -> Pixels:
    """An image of another size; smoothed where it shrinks (Pillow's bilinear filter).

    Args:
        image: (H, W, 1 or 3).
        size: (height, width) to bring it to, each > 0.
        fit: "stretch" changes the proportions if need be; "crop" keeps them and cuts off what is too much, on both
            sides alike; "pad" keeps them and adds black borders.

    Returns:
        (height, width, 1 or 3).

    Raises:
        ConfigError: a size or `fit` that cannot be.
        ShapeError: keeping the proportions of so long an image would take too much memory.
    """
    height, width = size
    if min(size) < 1 or fit not in FITS:
        raise ConfigError(f"fit_image: size {size}, fit {fit!r}; expected sizes above 0, and one of {', '.join(FITS)}.")
    old_height, old_width = image.shape[:2]
    scale = {"crop": max, "pad": min, "stretch": max}[fit](height / old_height, width / old_width)
    new = size if fit == "stretch" else (max(1, round(old_height * scale)), max(1, round(old_width * scale)))
    if new[0] * new[1] > _MOST_PIXELS:
        raise ShapeError(
            f"an image of {old_height}x{old_width} pixels cannot be cropped to {height}x{width}: too long."
        )
    if fit != "crop":
        resized = _resized(image, new)
        if fit == "stretch":
            return resized
        top, left = (height - new[0]) // 2, (width - new[1]) // 2
        padded = np.zeros((height, width, image.shape[2]), np.uint8)
        padded[top : top + new[0], left : left + new[1]] = resized
        return padded
    if new[0] * new[1] > _EXCESS * height * width:
        # a line of pixels would become a huge image, of which nearly all is cut off: only its middle counts
        keep = [min(old, math.ceil(n / scale) + 2) for n, old in zip(size, image.shape[:2], strict=True)]
        top, left = ((old - n) // 2 for n, old in zip(keep, image.shape[:2], strict=True))
        return fit_image(image[top : top + keep[0], left : left + keep[1]], size, "crop")
    top, left = (new[0] - height) // 2, (new[1] - width) // 2
    return np.ascontiguousarray(_resized(image, new)[top : top + height, left : left + width])


def _resized(image: Pixels, size: tuple[int, int]) -> Pixels:
    if image.shape[:2] == size:
        return image
    pillow = optional("PIL.Image", "resizing images")
    flat = pillow.fromarray(image if image.shape[2] == 3 else image[:, :, 0])
    pixels: Pixels = np.array(flat.resize((size[1], size[0]), pillow.Resampling.BILINEAR))
    return pixels if image.shape[2] == 3 else pixels[:, :, None]


def ten_crops(image: npt.NDArray[Any], size: tuple[int, int]) -> list[npt.NDArray[Any]]:
    """The corners of an image, its middle, and these five mirrored: what a net looks at when it is to look carefully.

    Args:
        image: (H, W, K), of any type.
        size: (height, width) of a crop, at most (H, W).

    Returns:
        Views of (height, width, K): top left, top right, bottom left, bottom right, middle; then the mirrored ones.

    Raises:
        ShapeError: the crops are larger than the image.
    """
    height, width = size
    down, right = image.shape[0] - height, image.shape[1] - width
    if min(height, width) < 1 or min(down, right) < 0:
        raise ShapeError(f"crops of {size} from an image of {image.shape[:2]}; they must be smaller.")
    places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    five = [image[top : top + height, left : left + width] for top, left in places]
    return five + [crop[:, ::-1] for crop in five]
