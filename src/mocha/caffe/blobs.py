"""Arrays in Caffe's messages: `BlobProto`.

NumPy and the binary format agree on how numbers lie, so values are taken out of, and put into, the bytes of a message:
its list of Python floats would take eight times the memory and fifty times the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mocha.caffe.proto import caffe_pb2
from mocha.caffe.wire import LENGTH, pieces
from mocha.errors import FormatError, ShapeError
from mocha.ops import Array

MAX_AXES = 32

_RAW_TYPES = {"DOUBLE": "<f8", "FLOAT": "<f4", "FLOAT16": "<f2", "INT": "<i4", "UINT": "<u4"}
_LEGACY = ("num", "channels", "height", "width")


def blob_shape(blob: Any) -> tuple[int, ...]:
    """The shape of a `BlobProto`.

    Any of the old fields num, channels, height and width makes it these four numbers; else it is the field `shape`,
    and without that `()`.
    """
    if any(blob.HasField(name) for name in _LEGACY):
        return tuple(getattr(blob, name) for name in _LEGACY)
    return tuple(blob.shape.dim)


def blob_array(blob: Any, where: str = "blob", *, diff: bool = False) -> Array:
    """The values of a `BlobProto` as an array of its shape.

    The first of ``double_data``, ``data`` and ``raw_data`` that is there counts (the last is NVCaffe's and OpenCV's,
    for half precision).

    Args:
        blob: the message.
        where: what it is, for errors.
        diff: take the gradients, ``double_diff``, ``diff`` or ``raw_diff``, instead.

    Returns:
        float64 from ``double_data`` and raw doubles, else float32.

    Raises:
        FormatError: the number of values is not that of the shape, or the shape cannot be.
    """
    shape = blob_shape(blob)
    values = _values(blob, "diff" if diff else "data", where)
    if len(shape) > MAX_AXES or min(shape, default=0) < 0:
        raise FormatError(f"{where}: shape {shape}; expected at most {MAX_AXES} sizes of at least 0. Is it damaged?")
    if math.prod(shape) != values.size:
        raise FormatError(
            f"{where}: {values.size} values for shape {shape}, which has {math.prod(shape)}. Make the file again."
        )
    return values.reshape(shape)


def flat_values(blob: Any, where: str = "blob", *, diff: bool = False) -> Array:
    """Like `blob_array`, but the values as they come, in one axis, whatever the shape says."""
    return _values(blob, "diff" if diff else "data", where)


def _values(blob: Any, field: str, where: str) -> Array:
    for name, dtype in ((f"double_{field}", "<f8"), (field, "<f4")):
        if len(getattr(blob, name)):
            return _numbers(blob, blob.DESCRIPTOR.fields_by_name[name].number, dtype)
    raw = getattr(blob, f"raw_{field}", b"")  # absent in messages of Caffe's own caffe_pb2
    if not raw:
        return np.zeros(0, np.float32)
    dtype = _RAW_TYPES[caffe_pb2.Type.Name(getattr(blob, f"raw_{field}_type"))]
    if len(raw) % np.dtype(dtype).itemsize:
        raise FormatError(f"{where}: {len(raw)} bytes of raw {field} are no whole number of {dtype[1:]} values.")
    return np.frombuffer(raw, dtype).astype(np.float64 if dtype == "<f8" else np.float32)


def _numbers(blob: Any, number: int, dtype: str) -> Array:
    data = blob.SerializePartialToString()
    runs = [
        np.frombuffer(data, dtype, (piece.end - piece.start) // np.dtype(dtype).itemsize, piece.start)
        for piece in pieces(data, 0, len(data))
        if piece.number == number and piece.wire == LENGTH
    ]
    return np.concatenate(runs).astype(dtype[1:])


def fill_blob(blob: Any, array: Array, diff: Array | None = None, *, legacy: bool = False) -> None:
    """Put an array into an empty `BlobProto`: float64 as ``double_data``, any other type as float32 ``data``.

    Args:
        blob: the message.
        array: the values.
        diff: gradients, of the same shape.
        legacy: give the shape as num, channels, height and width, as mean files have it. At most four axes; missing
            leading ones are 1.

    Raises:
        ShapeError: too many axes, or gradients of another shape.
    """
    values = np.asarray(array)
    if values.ndim > (4 if legacy else MAX_AXES):
        raise ShapeError(f"blob: shape {values.shape}; expected at most {4 if legacy else MAX_AXES} axes.")
    if diff is not None and np.shape(diff) != values.shape:
        raise ShapeError(f"blob: gradients have shape {np.shape(diff)}; expected that of the values, {values.shape}.")
    if legacy:
        sizes = (1,) * (4 - values.ndim) + values.shape
        for name, size in zip(_LEGACY, sizes, strict=True):
            setattr(blob, name, size)
    else:
        blob.shape.dim.extend(values.shape)
    for name, part in (("data", values), ("diff", diff)):
        if part is not None:
            _put(blob, name, np.asarray(part))


def _put(blob: Any, name: str, values: Array) -> None:
    double = values.dtype == np.float64
    field = blob.DESCRIPTOR.fields_by_name[f"double_{name}" if double else name]
    raw = np.ascontiguousarray(values, "<f8" if double else "<f4").tobytes()
    blob.MergeFromString(_varint(field.number << 3 | LENGTH) + _varint(len(raw)) + raw)


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def fit_array(array: Array, shape: Sequence[int], where: str) -> Array:
    """An array from a file as one of the shape that a net expects.

    Old files have only arrays of four axes: a bias of shape (N,) is 1 x 1 x 1 x N in them, a matrix (K, D) is
    1 x 1 x K x D. Such an array fits an expected shape of at most four axes that is the same after ones in front.

    Args:
        array: the file's values.
        shape: what the net expects.
        where: the parameter, for errors.

    Raises:
        ShapeError: it does not fit.
    """
    expected = tuple(shape)
    if array.shape == expected:
        return array
    if array.ndim == 4 and len(expected) < 4 and array.shape == (1,) * (4 - len(expected)) + expected:
        return array.reshape(expected)
    raise ShapeError(
        f"{where}: the file has shape {array.shape}; the net expects {expected}. Use the net that the file was made "
        "with, or give the layer another name, so that it starts afresh."
    )
