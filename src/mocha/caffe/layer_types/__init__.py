"""Caffe's layers, by their types."""

from __future__ import annotations

from typing import Any

from mocha.caffe.layer_types import arrange, dense, losses, pointwise, recurrent, sources, spatial, vision
from mocha.caffe.layer_types.base import Blob, CaffeLayer
from mocha.caffe.layer_types.python import Python, PythonLayer, allow_python_layers
from mocha.errors import ConfigError, did_you_mean

TYPES: dict[str, type[CaffeLayer]] = {
    cls.__name__: cls
    for cls in (
        spatial.Convolution, spatial.Deconvolution, spatial.Im2col, spatial.Pooling, spatial.SPP,
        dense.InnerProduct, dense.Embed, dense.BatchNorm, dense.Scale, dense.Bias, dense.MVN, dense.LRN,
        pointwise.ReLU, pointwise.PReLU, pointwise.ELU, pointwise.Sigmoid, pointwise.TanH, pointwise.Swish,
        pointwise.AbsVal, pointwise.BNLL, pointwise.Power, pointwise.Exp, pointwise.Log, pointwise.Threshold,
        pointwise.Clip, pointwise.Dropout, pointwise.Eltwise,
        arrange.Concat, arrange.Slice, arrange.Split, arrange.Flatten, arrange.Reshape, arrange.Crop, arrange.Tile,
        arrange.Reduction, arrange.ArgMax, arrange.BatchReindex, arrange.Filter, arrange.Silence, arrange.Parameter,
        losses.Softmax, losses.SoftmaxWithLoss, losses.SigmoidCrossEntropyLoss, losses.MultinomialLogisticLoss,
        losses.InfogainLoss, losses.EuclideanLoss, losses.HingeLoss, losses.ContrastiveLoss, losses.Accuracy,
        recurrent.RNN, recurrent.LSTM, recurrent.LSTMUnit,
        sources.Input, sources.DummyData, sources.MemoryData, sources.HDF5Data, sources.HDF5Output,
        Python,
        # of forks
        arrange.Permute, dense.Normalize, pointwise.Axpy, pointwise.ReLU6, vision.Interp, vision.Upsample,
        vision.ROIPooling, vision.PriorBox, vision.DetectionOutput,
    )
}  # fmt: skip
"""Type -> its class."""

LATER = ("Data", "ImageData", "WindowData")
"""Types of Caffe that are not there yet."""


def layer_class(message: Any) -> type[CaffeLayer]:
    """The class of a layer's type.

    Raises:
        ConfigError: there is none; the message names the layer, the type and the nearest known ones.
    """
    found = TYPES.get(message.type)
    if found is None:
        hint = (
            "Convert its data to HDF5 and use HDF5Data, or give the net an Input layer."
            if message.type in LATER
            else did_you_mean(message.type, TYPES)
        )
        what = "is not there yet" if message.type in LATER else "is unknown"
        raise ConfigError(f"layer {message.name!r}: the type {message.type!r} {what}. {hint}")
    return found


__all__ = ["TYPES", "Blob", "CaffeLayer", "Python", "PythonLayer", "allow_python_layers", "layer_class"]
