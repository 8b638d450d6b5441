"""Sheets of small pictures: filters, activations, examples. An element of an array is a pixel, or a square of them."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mocha.errors import ConfigError, ShapeError
from mocha.io import atomic_path
from mocha.ops import Array, Shape
from mocha.optional import optional
from mocha.visual.endings import ending_format

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3): red, green, blue, 0 to 255."""

_LOST = (214, 39, 120)
"""The colour of what is no number."""
_LARGEST = 1 << 28
"""Pixels of a sheet, at most."""


def sheet(
    images: npt.ArrayLike,
    *,
    columns: int | None = None,
    margin: int | None = None,
    zoom: int = 1,
    common: bool = False,
    symmetric: bool = True,
    background: tuple[int, int, int] = (255, 255, 255),
) -> Pixels:
    """Pictures side by side, row after row.

    Args:
        images: (N, H, W) or (N, 1, H, W) for grey pictures, (N, 3, H, W) for red, green and blue.
        columns: pictures in a row; None for about as many as there are rows.
        margin: pixels between the pictures and around them, >= 0; None for a third of `zoom`, or 1.
        zoom: how many pixels high and wide an element of the array becomes, >= 1.
        common: scale all pictures alike, so that their sizes can be compared; else each takes the whole range.
        symmetric: scale so that 0 is the middle grey, as is right for weights; else from the smallest number, black,
            to the largest, white, as is right for activations and images.
        background: red, green and blue of the margins, 0 to 255.

    Returns:
        (H', W', 3), uint8. What is no finite number is pink.

    Raises:
        ShapeError: another shape, or no picture at all.
        ConfigError: another value that cannot be, or more than 2^28 pixels.

    Examples:
        >>> sheet(np.zeros((6, 5, 5)), columns=3, margin=1, zoom=2).shape
        (23, 34, 3)
    """
    return _page(images, 1, columns, margin, zoom, common, symmetric, background)


def _page(
    images: npt.ArrayLike,
    together: int,
    columns: int | None,
    margin: int | None,
    zoom: int,
    common: bool,
    symmetric: bool,
    background: tuple[int, int, int] = (255, 255, 255),
) -> Pixels:
    """A sheet on which so many pictures, one after the other, are scaled alike."""
    array = np.asarray(images)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or array.shape[1] not in (1, 3) or not array.size or array.dtype.kind not in "fiub":
        raise ShapeError(
            f"sheet: received {array.dtype} of shape {np.shape(images)}; expected numbers (N, H, W), (N, 1, H, W) or "
            "(N, 3, H, W), none of them 0."
        )
    count, _, height, width = array.shape
    margin = max(1, zoom // 3) if margin is None else margin
    across = columns if columns is not None else math.ceil(math.sqrt(count * height / width))
    for name, value, least in (("columns", across, 1), ("margin", margin, 0), ("zoom", zoom, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"sheet: {name} is {value!r}; expected a whole number >= {least}.")
    across = min(across, count)
    down = -(-count // across)
    tall, wide = down * (height * zoom + margin) + margin, across * (width * zoom + margin) + margin
    if tall * wide > _LARGEST:
        raise ConfigError(f"sheet: it would have {tall} x {wide} pixels; use a smaller zoom, or fewer pictures.")
    scaled = _scaled(array, count if common else together, symmetric=symmetric)
    page = np.empty((tall, wide, 3), np.uint8)
    page[...] = background
    for number, picture in enumerate(scaled):
        row, column = divmod(number, across)
        top, left = margin + row * (height * zoom + margin), margin + column * (width * zoom + margin)
        page[top : top + height * zoom, left : left + width * zoom] = picture.repeat(zoom, 0).repeat(zoom, 1)
    return page


def _scaled(array: Array, together: int, *, symmetric: bool) -> Pixels:
    """(N, 1 or 3, H, W) of any range to (N, H, W, 3) of 0 to 255, so many pictures in the same way."""
    values = array.astype(np.float64).reshape(len(array) // together, together, *array.shape[1:])
    known = np.isfinite(values)
    high = np.max(values, axis=(1, 2, 3, 4), keepdims=True, initial=-np.inf, where=known)
    low = np.min(values, axis=(1, 2, 3, 4), keepdims=True, initial=np.inf, where=known)
    if symmetric:
        high = np.maximum(np.abs(high), np.abs(low))
        low = -high
    with np.errstate(invalid="ignore", over="ignore"):
        # halves first: the range of the largest numbers is larger than the largest number
        extent = high / 2 - low / 2
        shares = np.where(extent > 0, (values / 2 - low / 2) / np.where(extent > 0, extent, 1), 0.5)
    pixels = np.rint(255 * np.clip(np.where(known, shares, 0), 0, 1)).astype(np.uint8).reshape(array.shape)
    colored = np.ascontiguousarray(np.broadcast_to(pixels, (len(array), 3, *array.shape[2:])).transpose(0, 2, 3, 1))
    colored[~known.reshape(array.shape).all(axis=1)] = _LOST
    return colored


def filter_sheet(
    filters: npt.ArrayLike,
    *,
    channel: int | None = None,
    shape: Shape | None = None,
    channel_order: str = "rgb",
    columns: int | None = None,
    margin: int | None = None,
    zoom: int = 1,
    common: bool = False,
) -> Pixels:
    """Filters of a convolution, or weights of an inner product, as a sheet.

    Middle grey is 0, white and black are plus and minus the largest magnitude: of the filter, over all of its channels.

    Args:
        filters: (K, C, H, W): with one channel grey, with three in colours, else a row a filter and a column a
            channel. Or weights (K, D), with `shape`.
        channel: only this one, counted from 0, in grey.
        shape: what the D inputs of an inner product are: (H, W) or (C, H, W).
        channel_order: what three channels are: "rgb", or "bgr" as in nets of Caffe's.
        columns: as for `sheet`; not with a row a filter.
        margin: as for `sheet`.
        zoom: as for `sheet`.
        common: scale all filters alike, so that their sizes can be compared.

    Raises:
        ShapeError: the array cannot be seen so.
        ConfigError: there is no such channel, or another value that cannot be.
    """
    if channel_order not in ("rgb", "bgr"):
        raise ConfigError(f"filters: channel_order is {channel_order!r}; expected 'rgb' or 'bgr'.")
    array = np.asarray(filters)
    if shape is not None:
        array = _seen_as(array, shape)
    if array.ndim != 4:
        hint = "; say with shape what the inputs are, as 28x28" if array.ndim == 2 else ""
        raise ShapeError(f"filters: received shape {array.shape}; expected (K, C, H, W){hint}.")
    if channel is not None:
        if not 0 <= channel < array.shape[1]:
            raise ConfigError(f"filters: channel is {channel}; expected one of 0 to {array.shape[1] - 1}.")
        array = array[:, channel : channel + 1]
    if array.shape[1] == 3 and channel_order == "bgr":
        array = array[:, ::-1]
    together = 1
    if array.shape[1] not in (0, 1, 3):
        columns = together = array.shape[1]
        array = array.reshape(-1, 1, *array.shape[2:])
    return _page(array, together, columns, margin, zoom, common, symmetric=True)


def _seen_as(array: Array, shape: Shape) -> Array:
    if array.shape[:2] == (1, 1) and array.ndim == 4:  # old files of Caffe's have four axes for every array
        array = array[0, 0]
    if array.ndim < 2 or array[0].size != math.prod(shape) or len(shape) not in (2, 3):
        raise ShapeError(
            f"filters: received shape {array.shape} and an input of {'x'.join(map(str, shape))}; expected (K, D) and "
            "HxW or CxHxW with D = C H W."
        )
    return array.reshape(len(array), *((1, *shape) if len(shape) == 2 else shape))


def blob_sheet(
    blob: npt.ArrayLike,
    *,
    examples: int | None = None,
    margin: int | None = None,
    zoom: int = 1,
    common: bool = False,
    symmetric: bool = False,
) -> Pixels:
    """A blob of a net as a sheet, as `net.blobs["conv1"]`: a row an example, a column a channel.

    Args:
        blob: (N, C, H, W). With three channels the examples stand side by side in colours, with one in grey.
        examples: show so many of them, the first; None for all.
        margin: as for `sheet`.
        zoom: as for `sheet`.
        common: as for `sheet`.
        symmetric: as for `sheet`.

    Raises:
        ShapeError: the blob has another number of axes.
    """
    array = np.asarray(blob)
    if array.ndim != 4:
        raise ShapeError(f"blob_sheet: received shape {array.shape}; expected (N, C, H, W).")
    array, columns = array[:examples], None
    if array.shape[1] not in (1, 3):
        columns, array = array.shape[1], array.reshape(-1, 1, *array.shape[2:])
    return sheet(array, columns=columns, margin=margin, zoom=zoom, common=common, symmetric=symmetric)


def save_image(path: str | os.PathLike[str], pixels: Pixels) -> Path:
    """Write a sheet; the file's ending says the format, as .png.

    Raises:
        ConfigError: there is no ending, Pillow does not know it, or cannot write so many pixels in its format.
        MochaError: Pillow is not installed.
    """
    target = Path(path)
    pillow = optional("PIL.Image", "writing pictures")
    forms = {ending[1:]: form for ending, form in pillow.registered_extensions().items() if form in pillow.SAVE}
    form = forms[ending_format(target, forms, ("png", "jpg", "webp"))]
    image = pillow.fromarray(np.ascontiguousarray(pixels))
    with atomic_path(target) as temporary:
        try:
            image.save(temporary, format=form)
        except (ValueError, KeyError, OverflowError) as error:
            raise ConfigError(f"{target}: {form} takes no picture of {pixels.shape} ({error}); use .png.") from error
    return target
