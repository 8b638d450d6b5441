"""From an image to what a net was trained to see."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.data.images import (
    FITS,
    ORDERS,
    ChannelOrder,
    Fit,
    Pixels,
    Size,
    checked_scale,
    checked_size,
    fit_image,
    image_pixels,
    read_image,
    ten_crops,
)
from mocha.errors import ConfigError, ShapeError, did_you_mean
from mocha.io.hdf5 import find_dataset, open_hdf5, read_array, reading
from mocha.ops import Array
from mocha.optional import optional

ImageLike = Any
"""The path of a file; an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), of bytes or of floats from 0 to 1; or an
image of Pillow's."""


def pixels_of(image: ImageLike, *, color: bool = True) -> Pixels:
    """Any kind of image as bytes.

    Floats are rounded to bytes: 0 is black, 1 is white. What is transparent becomes white.

    Args:
        image: see `ImageLike`.
        color: give red, green and blue; else grey.

    Returns:
        (H, W, 3) or (H, W, 1).

    Raises:
        FormatError: the file is missing, damaged or no image.
        ShapeError: the array has not the shape of an image.
        ConfigError: its values are not those of an image, or it is something else.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_image(image, color=color)
    pillow = optional("PIL.Image", "preparing images")
    if not isinstance(image, pillow.Image):
        image = pillow.fromarray(_bytes(image))
    return image_pixels(image, color=color)


def _bytes(image: Any) -> npt.NDArray[np.uint8]:
    """An array as Pillow takes it: bytes, grey without its axis of channels."""
    if not isinstance(image, np.ndarray):
        raise ConfigError(f"received {type(image).__name__}; expected the path of a file, an array or a Pillow image.")
    shape = image.shape
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)) or 0 in shape:
        turned = (
            " Its channels seem to come first: image.transpose(1, 2, 0) turns it." if _channels_first(shape) else ""
        )
        raise ShapeError(
            f"an array of shape {shape}; expected an image, (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).{turned}"
        )
    if image.dtype.kind == "f":
        if not (image.min() >= 0 and image.max() <= 1):  # so that NaN is refused too
            raise ConfigError(
                f"an image of floats from {image.min():g} to {image.max():g}; expected 0 to 1, or bytes (uint8) from 0 "
                "to 255."
            )
        image = np.rint(image * 255).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ConfigError(f"an image of {image.dtype}; expected uint8 from 0 to 255, or floats from 0 to 1.")
    return np.ascontiguousarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image)


def _channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in (1, 3, 4) and min(shape[1:]) > 4


def read_mean(path: str | os.PathLike[str]) -> Array:
    """A mean image from a file: Caffe's ``.binaryproto``, or the dataset ``mean`` of an HDF5 file.

    Args:
        path: a file; one whose name ends in ``.binaryproto`` is taken for Caffe's.

    Raises:
        FormatError: the file is missing, damaged, or something else.
    """
    if os.fspath(path).lower().endswith(".binaryproto"):
        from mocha import caffe  # not needed by everybody, and slow to import

        return caffe.read_mean(path)
    with open_hdf5(path) as file, reading(path):
        return read_array(find_dataset(file, "mean"), kinds="fiu")


@dataclasses.dataclass(frozen=True, eq=False)
class Preparation:
    """What is done to an image before a net sees it. The order:

    1. The image is read: bytes from 0 to 255, in colour or in grey.
    2. It is brought to the size `resize`, or to the net's own, in the way that `fit` says.
    3. Its channels are put in the order `channel_order`, as (C, H, W).
    4. The `mean` is subtracted.
    5. The result is multiplied by `scale`.
    6. If `resize` is larger than the net's size, the middle is cut out, or with `oversample` ten crops are.

    Args:
        shape: of the net's input, (channels, height, width); 1 or 3 channels.
        resize: size to bring images to before the crop, (height, width) or one number for both; at least the net's.
            None for the net's own.
        fit: "stretch" changes the proportions if need be; "crop" keeps them and cuts off what is too much; "pad" keeps
            them and adds black borders.
        grey: look at images without their colours; None for where the net has one channel. A net of three channels
            gets the grey three times.
        channel_order: "rgb", or "bgr" as Caffe's nets on photos want it.
        mean: what is subtracted, in units of 0 to 255 and in the order of the net's channels: a number, one a channel,
            an image (C, H, W) of the net's size or of the size `resize`, or a file (see `read_mean`).
        scale: what the difference is multiplied by; not 0.
        oversample: look at the corners, the middle, and these mirrored.

    Raises:
        ConfigError: a value that cannot be.
        ShapeError: the input is no image, or the mean does not fit it.
    """

    shape: tuple[int, ...]
    resize: Size | None = None
    fit: Fit = "stretch"
    grey: bool | None = None
    channel_order: ChannelOrder = "rgb"
    mean: npt.ArrayLike | str | os.PathLike[str] | None = None
    scale: float = 1.0
    oversample: bool = False

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or self.shape[0] not in (1, 3):
            raise ShapeError(
                f"the net's input has the shape {self.shape}; expected an image, (1 or 3 channels, height, width)."
            )
        if self.fit not in FITS:
            raise ConfigError(f"fit is {self.fit!r}. {did_you_mean(str(self.fit), FITS)}")
        if self.channel_order not in ORDERS:
            raise ConfigError(f"channel_order is {self.channel_order!r}; expected one of {', '.join(ORDERS)}.")
        if self.grey is False and self.shape[0] == 1:
            raise ConfigError("grey is false, but the net has one channel; leave it out.")
        checked_scale(self.scale)
        object.__setattr__(self, "resize", None if self.resize is None else checked_size(self.resize, "resize"))
        if any(given < own for given, own in zip(self.first_size, self.size, strict=True)):
            raise ConfigError(f"resize is {self.resize}; expected at least {self.size}, the net's size.")
        object.__setattr__(self, "mean", self._checked_mean())

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what the net sees."""
        return self.shape[1], self.shape[2]

    @property
    def first_size(self) -> tuple[int, int]:
        """(height, width) before the crop."""
        return self.size if not isinstance(self.resize, tuple) else self.resize

    @property
    def color(self) -> bool:
        """Whether images are read with their colours."""
        return self.shape[0] == 3 and not self.grey

    @property
    def crops(self) -> int:
        """How many views of an image the net gets."""
        return (10 if self.first_size != self.size else 2) if self.oversample else 1

    def __call__(self, image: ImageLike) -> Array:
        """An image, prepared.

        Returns:
            (views, C, H, W), float32: one view, or with `oversample` ten; two, the image and its mirror, where `resize`
            leaves no room for others.

        Raises:
            FormatError, ShapeError, ConfigError: see `pixels_of`.
        """
        pixels = fit_image(pixels_of(image, color=self.color), self.first_size, self.fit)
        values = np.broadcast_to(pixels, (*self.first_size, self.shape[0]))
        if self.channel_order == "bgr":
            values = values[:, :, ::-1]
        planes = values.transpose(2, 0, 1).astype(np.float32)
        mean = self.mean
        if isinstance(mean, np.ndarray) and mean.shape[1:] in ((1, 1), self.first_size):
            planes -= mean
            mean = None
        crops = np.stack([crop.transpose(2, 0, 1) for crop in self._views(planes.transpose(1, 2, 0))])
        if mean is not None:  # an image of the net's size, which every crop is held against
            crops = crops - mean
        return np.asarray(crops * np.float32(self.scale), np.float32)

    def _views(self, image: Array) -> list[Array]:
        if not self.oversample:
            top, left = ((n - m) // 2 for n, m in zip(self.first_size, self.size, strict=True))
            return [image[top : top + self.size[0], left : left + self.size[1]]]
        return ten_crops(image, self.size) if self.crops == 10 else [image, image[:, ::-1]]

    def _checked_mean(self) -> Array | None:
        """As (1 or C, 1 or H, 1 or W)."""
        if self.mean is None:
            return None
        origin, given = "the mean", self.mean
        if isinstance(given, (str, os.PathLike)):
            origin, given = os.fspath(given), read_mean(given)
        mean: npt.NDArray[Any] = np.asarray(given)
        if mean.dtype.kind not in "fiu" or not np.isfinite(mean).all():
            raise ConfigError(f"{origin}: it is of {mean.dtype}, or not finite; expected numbers.")
        channels = self.shape[0]
        shape = mean.shape[1:] if mean.ndim == 4 and len(mean) == 1 else mean.shape
        if shape in ((), (1,), (channels,)):
            return mean.reshape(-1, 1, 1).astype(np.float32)
        if len(shape) == 2 and channels == 1:
            shape = (1, *shape)
        if shape[1:] in (self.size, self.first_size) and shape[0] == channels:
            return mean.reshape(shape).astype(np.float32)
        larger = (
            len(shape) == 3
            and shape[0] == channels
            and all(given >= own for given, own in zip(shape[1:], self.size, strict=True))
        )
        hint = f" With resize={shape[1:]} it would fit." if larger else ""
        raise ShapeError(
            f"{origin}: it has the shape {mean.shape}; expected one number, {channels} (one a channel), or an image of "
            f"{(channels, *self.size)}, the net's input{_or_resized(self)}.{hint}"
        )


def _or_resized(preparation: Preparation) -> str:
    if preparation.first_size == preparation.size:
        return ""
    return f", or {(preparation.shape[0], *preparation.first_size)}, before the crop"
