"""Images from files, as arrays of bytes, and brought to the size that a net wants. Needs Pillow.

What prepares the images of a training and what classifies a photo later use these functions alike, so that a net sees
the second as it saw the first. (Caffe's scripts resize in another way: `mocha.caffe.images`.)
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mocha.errors import ConfigError, FormatError, MochaError, ShapeError
from mocha.optional import optional

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3), red, green, blue, or (H, W, 1), grey: 0 to 255."""

Size = int | tuple[int, int]
"""(height, width), or one number for both."""

LONGEST = 20_000
"""The longest side that images may be brought to."""

ChannelOrder = Literal["rgb", "bgr"]

ORDERS: tuple[ChannelOrder, ...] = ("rgb", "bgr")

Fit = Literal["stretch", "crop", "pad"]

FITS: tuple[Fit, ...] = ("stretch", "crop", "pad")

# What Pillow raises when a file is damaged, beside its own exceptions; found by damaging files at random.
_DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, ArithmeticError, LookupError, TypeError, AttributeError, struct.error,
    zlib.error,
)  # fmt: skip

_TROUBLE = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What the system says when the fault is not the file's: another time it may be read."""

_MOST_PIXELS = 1 << 28

ENDINGS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Endings of files that are taken for images when a folder is searched, in lower case."""


def trouble(error: Exception) -> bool:
    """Whether an exception says that the machine lacks something, and nothing of the file that was read."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _TROUBLE)


@contextlib.contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turns whatever Pillow raises within the block into an error that names the image.

    Raises:
        FormatError: the image is damaged.
        MochaError: memory or open files ran out, or the disk cannot be read: a fault that is not the image's.
    """
    pillow = optional("PIL.Image", "reading images")
    try:
        yield
    except MochaError:
        raise
    except (*_DAMAGE, MemoryError, pillow.DecompressionBombError) as error:
        if trouble(error):
            raise MochaError(f"{name}: cannot be read now ({error or 'not enough memory'}). Try again.") from error
        raise FormatError(f"{name}: no image can be read ({error}). Check the path and the file.") from error


def open_image(path: str | os.PathLike[str]) -> Any:
    """An image from a file, decoded, as Pillow has it.

    Raises:
        FormatError: there is no such file, or it is damaged, no image, or of far too many pixels.
        MochaError: Pillow is not installed; or memory or open files ran out.
    """
    with _decoding(os.fspath(path)), optional("PIL.Image", "reading images").open(path) as image:
        image.load()
        return image


def read_image(path: str | os.PathLike[str], *, color: bool = True) -> Pixels:
    """An image from a file, the way up that its camera noted.

    Args:
        path: a file of a format that Pillow reads; of an animation the first picture is taken.
        color: give red, green and blue, whatever the file has; else grey (ITU-R BT.601).

    Returns:
        (H, W, 3) or (H, W, 1). What is transparent is white; 16 bits become 8; floats are 0 for black to 1 for white.

    Raises:
        FormatError: there is no such file, or it is damaged or no image.
        MochaError: Pillow is not installed; or memory or open files ran out.
    """
    return image_pixels(open_image(path), color=color, name=os.fspath(path))


def image_pixels(image: Any, *, color: bool = True, name: str = "") -> Pixels:
    """A Pillow image as bytes; see `read_image`.

    Args:
        image: a `PIL.Image.Image`.
        color: give red, green and blue; else grey.
        name: what a message calls it; that of its file, unless told.

    Returns:
        (H, W, 3) or (H, W, 1).

    Raises:
        FormatError: it cannot be decoded, or has floats that are not from 0 to 1.
        MochaError: memory ran out.
    """
    with _decoding(name or getattr(image, "filename", "") or "an image of Pillow's"):
        return _pixels(image, color, name or getattr(image, "filename", "") or "an image of Pillow's")


def _pixels(image: Any, color: bool, name: str) -> Pixels:
    image.load()
    try:
        turned = optional("PIL.ImageOps", "reading images").exif_transpose(image)
    except _DAMAGE:  # the note of the camera is damaged, the picture is not
        turned = image
    if turned.mode == "F":
        floats = np.asarray(turned, np.float32)
        if not (floats.min() >= 0 and floats.max() <= 1):  # so that NaN is refused too
            raise FormatError(
                f"{name}: an image of floats from {floats.min():g} to {floats.max():g}; expected 0 for black to 1 for "
                "white. Bring its values there, or save it with 8 or 16 bits."
            )
        return np.repeat(np.rint(floats * 255).astype(np.uint8)[:, :, None], 3 if color else 1, axis=2)
    if turned.mode.startswith("I"):  # whole numbers of 16 bits or more
        values = np.clip(np.asarray(turned, np.int64) >> 8, 0, 255).astype(np.uint8)
        return np.repeat(values[:, :, None], 3 if color else 1, axis=2)
    if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
        with_alpha = turned.convert("RGBA")
        turned = optional("PIL.Image", "reading images").new("RGBA", with_alpha.size, "white")
        turned.alpha_composite(with_alpha)
    if turned.mode in ("LAB", "HSV"):  # Pillow has no direct way from these to grey
        turned = turned.convert("RGB")
    pixels: Pixels = np.array(turned.convert("RGB" if color else "L"))
    return pixels if color else pixels[:, :, None]


def checked_size(size: Any, what: str = "size") -> tuple[int, int]:
    """A size as (height, width).

    Args:
        size: both, or one number for both, in pixels; each from 1 to `LONGEST`.
        what: a message calls it.

    Raises:
        ConfigError: it is none.
    """
    pair = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in pair)
    if len(pair) != 2 or not whole or not all(1 <= n <= LONGEST for n in pair) or math.prod(pair) > _MOST_PIXELS:
        raise ConfigError(
            f"{what} is {size!r}; expected (height, width) in pixels, or one whole number for both, from 1 to "
            f"{LONGEST}, and {_MOST_PIXELS:,} pixels at most."
        )
    return int(pair[0]), int(pair[1])


def checked_scale(scale: Any) -> float:
    """What values are multiplied by.

    Raises:
        ConfigError: it is 0, or no finite number.
    """
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not math.isfinite(scale) or scale == 0:
        raise ConfigError(f"scale is {scale!r}; expected a finite number other than 0.")
    return float(scale)


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
    """
    height, width = checked_size(size)
    if fit not in FITS:
        raise ConfigError(f"fit is {fit!r}; expected one of {', '.join(FITS)}.")
    old_height, old_width = image.shape[:2]
    if fit == "stretch":
        return _resized(image, (height, width))
    scale = (max if fit == "crop" else min)(height / old_height, width / old_width)
    new = (max(1, round(old_height * scale)), max(1, round(old_width * scale)))
    if fit == "crop":
        return _resized(image, (height, width), whole=new)
    top, left = (height - new[0]) // 2, (width - new[1]) // 2
    padded = np.zeros((height, width, image.shape[2]), np.uint8)
    padded[top : top + new[0], left : left + new[1]] = _resized(image, new)
    return padded


def _resized(image: Pixels, size: tuple[int, int], whole: tuple[int, int] | None = None) -> Pixels:
    """An image of another size; or the middle of one of the size `whole`, of which no more than that is computed."""
    whole = whole or size
    top, left = (whole[0] - size[0]) // 2, (whole[1] - size[1]) // 2
    if image.shape[:2] == whole:
        return np.ascontiguousarray(image[top : top + size[0], left : left + size[1]])
    pillow = optional("PIL.Image", "resizing images")
    flat = pillow.fromarray(image if image.shape[2] == 3 else image[:, :, 0])
    down, right = image.shape[0] / whole[0], image.shape[1] / whole[1]
    box = (left * right, top * down, (left + size[1]) * right, (top + size[0]) * down)
    inside = (*box[:2], min(box[2], image.shape[1]), min(box[3], image.shape[0]))  # no rounding takes it outside
    pixels: Pixels = np.array(flat.resize((size[1], size[0]), pillow.Resampling.BILINEAR, inside))
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
