"""pycaffe's module ``io``: images, what is done to them before a net sees them, and arrays in messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.caffe.blobs import blob_array, fill_blob
from mocha.caffe.images import Image, load_image, oversample, resize_image
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.wire import parse_binary
from mocha.errors import ConfigError, ShapeError, did_you_mean
from mocha.ops import Array

__all__ = [
    "Transformer", "array_to_blobproto", "array_to_datum", "arraylist_to_blobprotovector_str", "blobproto_to_array",
    "blobprotovector_str_to_arraylist", "datum_to_array", "load_image", "oversample", "resize_image",
]  # fmt: skip


class Transformer:
    """Makes images into inputs of a net, and back: size, axes, channels, scale, mean, scale.

    In this order: the image is resized to the input's height and width; its axes are put in another order; its
    channels are; the values are multiplied by the raw scale; the mean is taken away; they are multiplied by the input
    scale. What was not set is not done.

    Args:
        inputs: name to shape, (N, K, H, W), of the net's inputs.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, tuple[int, ...]] = {}
        self.channel_swap: dict[str, tuple[int, ...]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Put the image's axes in this order: (2, 0, 1) makes (H, W, K) into (K, H, W).

        Raises:
            ConfigError: there is no such input, or this is no order of the axes of one of its samples.
        """
        self._check(in_)
        self.transpose[in_] = _order(order, len(self.inputs[in_]) - 1, "Transpose", "axes")

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Put the channels in this order, once they are the first axis: (2, 1, 0) makes RGB into BGR.

        Raises:
            ConfigError: there is no such input, or this is no order of its channels.
        """
        self._check(in_)
        self.channel_swap[in_] = _order(order, self.inputs[in_][1], "Channel swap", "channels")

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Multiply by this before the mean is taken away: 255, for means of 0 to 255 and images of 0 to 1.

        Raises:
            ConfigError: there is no such input.
        """
        self._check(in_)
        self.raw_scale[in_] = scale

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Multiply by this at the end.

        Raises:
            ConfigError: there is no such input.
        """
        self._check(in_)
        self.input_scale[in_] = scale

    def set_mean(self, in_: str, mean: npt.ArrayLike) -> None:
        """Take this away.

        Args:
            in_: the input.
            mean: a number for each channel, or an image (K, H, W) or (H, W), which is resized if its size is not the
                input's.

        Raises:
            ConfigError: there is no such input.
            ShapeError: the mean is no such thing, or has other channels than the input.
        """
        self._check(in_)
        values = np.asarray(mean, np.float32)
        channels, *size = self.inputs[in_][1:]
        if values.ndim == 1:
            if len(values) != channels:
                raise ShapeError(f"Mean channels incompatible with input: {len(values)} for {channels} channels.")
            self.mean[in_] = values[:, None, None]
            return
        if values.ndim == 2:
            values = values[None]
        if values.ndim != 3 or len(values) not in (1, channels) or len(size) != 2:
            raise ShapeError(f"Mean shape invalid: {np.shape(mean)} for an input of shape {self.inputs[in_]}.")
        if values.shape[1:] != tuple(size):
            values = _resized_mean(values, size)
        self.mean[in_] = values

    def preprocess(self, in_: str, data: npt.ArrayLike) -> Image:
        """An image as the net wants it.

        Args:
            in_: the input.
            data: (H, W, K).

        Returns:
            One sample, float32; (K, H, W) after a transpose of (2, 0, 1). `data` stays as it is.

        Raises:
            ConfigError: there is no such input.
            ShapeError: the image does not fit.
        """
        self._check(in_)
        image = np.array(data, np.float32)
        size = self.inputs[in_][2:]
        if image.shape[:2] != size:
            image = resize_image(image, size)
        if in_ in self.transpose:
            image = image.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            image = image[list(self.channel_swap[in_])]
        if in_ in self.raw_scale:
            image = image * np.float32(self.raw_scale[in_])
        if in_ in self.mean:
            image = _with_mean(image, -self.mean[in_])
        if in_ in self.input_scale:
            image = image * np.float32(self.input_scale[in_])
        return np.ascontiguousarray(image, np.float32)

    def deprocess(self, in_: str, data: npt.ArrayLike) -> Image:
        """The image of which `preprocess` made these values, but for its size.

        Args:
            in_: the input.
            data: one sample, with or without the axis of the batch.

        Raises:
            ConfigError: there is no such input.
            ShapeError: the mean does not fit.
        """
        self._check(in_)
        image = np.array(data, np.float32).squeeze()
        if in_ in self.input_scale:
            image = image / np.float32(self.input_scale[in_])
        if in_ in self.mean:
            image = _with_mean(image, self.mean[in_])
        if in_ in self.raw_scale:
            image = image / np.float32(self.raw_scale[in_])
        if in_ in self.channel_swap:
            image = image[np.argsort(self.channel_swap[in_])]
        if in_ in self.transpose:
            image = image.transpose(np.argsort(self.transpose[in_]).tolist())
        return np.ascontiguousarray(image, np.float32)

    def _check(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise ConfigError(f"{in_!r} is not one of the net inputs. {did_you_mean(str(in_), self.inputs)}")


def _order(order: Sequence[int], count: int, what: str, of: str) -> tuple[int, ...]:
    if sorted(order) != list(range(count)):
        raise ConfigError(f"{what} order is {tuple(order)}; expected an order of the {count} {of} of the input.")
    return tuple(order)


def _resized_mean(mean: Array, size: Sequence[int]) -> Array:
    """Between 0 and 1 while it is resized, whatever its channels: outside of the image lies its smallest value."""
    low, high = float(mean.min()), float(mean.max())
    if not high > low:
        return np.full((len(mean), *size), low, np.float32)
    scaled = ((mean - low) / (high - low)).transpose(1, 2, 0)
    return np.asarray(resize_image(scaled, size).transpose(2, 0, 1) * (high - low) + low, np.float32)


def _with_mean(image: Array, mean: Array) -> Array:
    try:
        summed = image + mean
    except ValueError:
        summed = None
    if summed is None or summed.shape != image.shape:
        raise ShapeError(
            f"mean of shape {mean.shape} for values of shape {image.shape}; set a transpose of (2, 0, 1) for images of "
            "(H, W, K)."
        )
    return np.asarray(summed, np.float32)


def blobproto_to_array(blob: Any, return_diff: bool = False) -> Array:
    """The values of a `BlobProto`, or its gradients, as an array of its shape.

    Raises:
        FormatError: the number of values is not that of the shape.
    """
    return blob_array(blob, diff=return_diff)


def array_to_blobproto(arr: npt.ArrayLike, diff: npt.ArrayLike | None = None) -> Any:
    """An array, and gradients of the same shape, as a `BlobProto` of float32."""
    blob = caffe_pb2.BlobProto()
    fill_blob(blob, np.asarray(arr, np.float32), None if diff is None else np.asarray(diff, np.float32))
    return blob


def arraylist_to_blobprotovector_str(arraylist: Sequence[npt.ArrayLike]) -> bytes:
    """Arrays as the bytes of a `BlobProtoVector`."""
    return bytes(caffe_pb2.BlobProtoVector(blobs=map(array_to_blobproto, arraylist)).SerializeToString())


def blobprotovector_str_to_arraylist(str: bytes) -> list[Array]:
    """The arrays in the bytes of a `BlobProtoVector`.

    Raises:
        FormatError: the bytes are none.
    """
    vector = parse_binary(str, caffe_pb2.BlobProtoVector, "BlobProtoVector", unknown=[])
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: npt.ArrayLike, label: int | None = None) -> Any:
    """An array (C, H, W) as a `Datum`: uint8 as bytes, any other type as floats.

    Raises:
        ShapeError: the array has not three axes.
    """
    values = np.asarray(arr)
    if values.ndim != 3:
        raise ShapeError(f"Incorrect array shape: {values.shape}; expected (channels, height, width).")
    datum = caffe_pb2.Datum(channels=values.shape[0], height=values.shape[1], width=values.shape[2])
    if values.dtype == np.uint8:
        datum.data = values.tobytes()
    else:
        datum.float_data.extend(values.astype(float).ravel().tolist())
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: Any) -> npt.NDArray[Any]:
    """The values of a `Datum`, (C, H, W): uint8, or float64 if it has floats.

    Raises:
        ConfigError: it holds an encoded image, as JPEG.
        ShapeError: the number of values is not that of its shape.
    """
    if datum.encoded:
        raise ConfigError("the Datum holds an encoded image. Decode its field `data` with an image library.")
    shape = (datum.channels, datum.height, datum.width)
    values: npt.NDArray[Any]
    values = np.frombuffer(datum.data, np.uint8) if len(datum.data) else np.array(datum.float_data, float)
    if min(shape) < 0 or values.size != shape[0] * shape[1] * shape[2]:
        raise ShapeError(f"the Datum has {values.size} values for shape {shape}.")
    return values.reshape(shape)
