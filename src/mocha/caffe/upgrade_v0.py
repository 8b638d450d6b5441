"""Nets of the first format, V0, become nets of the second, V1: spec of their fields in `mocha.caffe.proto.schema.old`.

A V0 layer lies in field ``layer`` of an entry of ``layers``. It has the parameters of all types side by side.
"""

from __future__ import annotations

from typing import Any

from mocha.caffe.proto import caffe_pb2
from mocha.errors import FormatError, did_you_mean

TYPES = {
    "accuracy": "ACCURACY", "bnll": "BNLL", "concat": "CONCAT", "conv": "CONVOLUTION", "data": "DATA",
    "dropout": "DROPOUT", "euclidean_loss": "EUCLIDEAN_LOSS", "flatten": "FLATTEN", "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT", "im2col": "IM2COL", "images": "IMAGE_DATA", "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT", "lrn": "LRN", "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING", "relu": "RELU", "sigmoid": "SIGMOID", "softmax": "SOFTMAX", "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT", "tanh": "TANH", "window_data": "WINDOW_DATA",
}  # fmt: skip
"""The type strings of V0 to the enum values of V1."""

_MESSAGES = {
    "concat": "concat_param", "conv": "convolution_param", "data": "data_param", "dropout": "dropout_param",
    "hdf5_data": "hdf5_data_param", "images": "image_data_param", "infogain_loss": "infogain_loss_param",
    "innerproduct": "inner_product_param", "lrn": "lrn_param", "pool": "pooling_param",
    "window_data": "window_data_param",
}  # fmt: skip

_SOURCES = ("data", "hdf5_data", "images", "window_data")

# Field of V0: the types that have it, and its name there. The fields not named here are copied, moved to
# transform_param, or have no successor.
_FIELDS: dict[str, tuple[tuple[str, ...], str]] = {
    "num_output": (("conv", "innerproduct"), "num_output"),
    "biasterm": (("conv", "innerproduct"), "bias_term"),
    "weight_filler": (("conv", "innerproduct"), "weight_filler"),
    "bias_filler": (("conv", "innerproduct"), "bias_filler"),
    "pad": (("conv", "pool"), "pad"),
    "kernelsize": (("conv", "pool"), "kernel_size"),
    "group": (("conv",), "group"),
    "stride": (("conv", "pool"), "stride"),
    "pool": (("pool",), "pool"),
    "dropout_ratio": (("dropout",), "dropout_ratio"),
    "local_size": (("lrn",), "local_size"),
    "alpha": (("lrn",), "alpha"),
    "beta": (("lrn",), "beta"),
    "k": (("lrn",), "k"),
    "source": ((*_SOURCES, "infogain_loss"), "source"),
    "batchsize": (_SOURCES, "batch_size"),
    "rand_skip": (("data", "images"), "rand_skip"),
    "det_fg_threshold": (("window_data",), "fg_threshold"),
    "det_bg_threshold": (("window_data",), "bg_threshold"),
    "det_fg_fraction": (("window_data",), "fg_fraction"),
    "det_context_pad": (("window_data",), "context_pad"),
    "det_crop_mode": (("window_data",), "crop_mode"),
    "new_num": ((), ""),
    "new_channels": ((), ""),
    "new_height": (("images",), "new_height"),
    "new_width": (("images",), "new_width"),
    "shuffle_images": (("images",), "shuffle"),
    "concat_dim": (("concat",), "concat_dim"),
}

_TRANSFORM = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}


def upgrade_v0(net: Any, where: str) -> list[str]:
    """Turn a net of V0 layers into one of V1 layers, in place.

    Padding layers go: the convolution or pooling that one feeds takes over its padding and its input. Of the net's own
    fields, name, input, input_dim and force_backward stay.

    Args:
        net: a `NetParameter` with `layers` of which some have a nested `layer`.
        where: the file, for errors.

    Returns:
        A sentence for each field that has no place in V1 and was dropped.

    Raises:
        FormatError: a type that V0 does not have, a padding layer before something else than these two, or entries of
            V1 among those of V0.
    """
    for at, entry in enumerate(net.layers):
        if not entry.HasField("layer"):
            raise FormatError(
                f"{where}: entry {at} of `layers`, {entry.name!r}, has no `layer` within it, but others do: two old "
                "formats are mixed. Write all entries in one."
            )
    old = type(net)()
    old.CopyFrom(net)
    net.Clear()
    for name in ("name", "force_backward"):
        if old.HasField(name):
            setattr(net, name, getattr(old, name))
    net.input.extend(old.input)
    net.input_dim.extend(old.input_dim)
    dropped: list[str] = []
    for entry in _without_padding(old, where):
        _upgrade_layer(entry, net.layers.add(), where, dropped)
    return dropped


def _without_padding(net: Any, where: str) -> list[Any]:
    """The entries of the net, without padding layers."""
    kept: list[Any] = []
    source_of: dict[str, Any] = {}
    for entry in net.layers:
        for at, bottom in enumerate(entry.bottom):
            source = source_of.get(bottom)
            if source is None or source.layer.type != "padding":
                continue
            layer = entry.layer
            simple = len(entry.bottom) == len(source.bottom) == len(source.top) == 1
            if layer.type not in ("conv", "pool") or not simple:
                raise FormatError(
                    f"{where}: padding layer {source.layer.name!r} feeds layer {layer.name!r} of type {layer.type!r}; "
                    "expected one convolution or pooling with one input. Write the padding there."
                )
            layer.pad = source.layer.pad
            entry.bottom[at] = source.bottom[0]
        source_of |= dict.fromkeys(entry.top, entry)
        if entry.layer.type != "padding":
            kept.append(entry)
    return kept


def _upgrade_layer(entry: Any, new: Any, where: str, dropped: list[str]) -> None:
    new.bottom.extend(entry.bottom)
    new.top.extend(entry.top)
    old = entry.layer
    if old.HasField("name"):
        new.name = old.name
    if old.HasField("type"):
        if old.type not in TYPES:
            raise FormatError(
                f"{where}: layer {old.name!r} has type {old.type!r}, which the oldest format lacks. "
                f"{did_you_mean(old.type, TYPES)}"
            )
        new.type = caffe_pb2.V1LayerParameter.LayerType.Value(TYPES[old.type])
    new.blobs.MergeFrom(old.blobs)
    new.blobs_lr.extend(old.blobs_lr)
    new.weight_decay.extend(old.weight_decay)
    for name, current in _TRANSFORM.items():
        if old.HasField(name):
            setattr(new.transform_param, current, getattr(old, name))
    for name, (types, current) in _FIELDS.items():
        if not old.HasField(name):
            continue
        if old.type in types:
            _set(getattr(new, _MESSAGES[old.type]), current, getattr(old, name))
        else:
            dropped.append(f"{name!r} of layer {old.name!r}, whose type {old.type!r} has no such parameter")
    if old.HasField("hdf5_output_param"):
        if old.type == "hdf5_output":
            new.hdf5_output_param.CopyFrom(old.hdf5_output_param)
        else:
            dropped.append(f"'hdf5_output_param' of layer {old.name!r}, whose type is {old.type!r}")


def _set(message: Any, name: str, value: Any) -> None:
    """Set a field that may be a number, a message, or a list that gets the one number."""
    field = getattr(message, name)
    if hasattr(field, "CopyFrom"):
        field.CopyFrom(value)
    elif hasattr(field, "append"):
        field.append(value)
    else:
        setattr(message, name, value)
