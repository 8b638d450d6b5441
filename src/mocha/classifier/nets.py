"""A net that takes images, with its weights: one of Caffe's, or a built-in model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mocha.backends import AbstractBackend
from mocha.errors import ConfigError, FormatError, did_you_mean
from mocha.io import read_model
from mocha.layers import ConvolutionLayer, InnerProductLayer, MemoryDataLayer
from mocha.models import MODELS
from mocha.net import Net, assign_parameters
from mocha.ops import Array, Shape


def image_net(model: str, backend: AbstractBackend, *, size: tuple[int, int] | None = None, batch: int = 1) -> Net:
    """A net for images, without its weights.

    Args:
        model: the name of a built-in model, or the path of a net of Caffe's, ending in ``.prototxt``.
        backend: where it runs.
        size: (height, width) of its images; None for what the model says.
        batch: how many images it takes at once.

    Raises:
        ConfigError: there is no such model, or it takes no images.
        FormatError: the file is missing or damaged.
        ShapeError: the size does not fit the layers.
    """
    if model.endswith(".prototxt"):
        return _caffe_net(model, backend, size, batch)
    if model not in MODELS:
        raise ConfigError(
            f"model is {model!r}; expected a .prototxt, or the name of a built-in model. {did_you_mean(model, MODELS)}"
        )
    found = MODELS[model]
    if len(found.shape) != 3:
        raise ConfigError(f"model {model!r} takes {found.shape[0]} numbers, no images. Use another.")
    data = _blank("data", (batch, found.shape[0], *(size or found.shape[1:])))
    return Net(model, backend, [data, *found.layers()])


def _caffe_net(path: str, backend: AbstractBackend, size: tuple[int, int] | None, batch: int) -> Net:
    from mocha import caffe  # not needed by everybody, and slow to import

    message = caffe.read_net(path)
    inputs = [layer for layer in message.layer if layer.type == "Input"]
    shapes = [shape for layer in inputs for shape in layer.input_param.shape]
    if len(inputs) != 1 or len(inputs[0].top) != 1 or len(shapes) != 1 or len(shapes[0].dim) != 4:
        raise ConfigError(
            f"{path}: the net has {len(inputs)} Input layers with {len(shapes)} shapes; expected one, of four axes. "
            "Give the net that is made for use, often called deploy.prototxt, and not the one for training."
        )
    channels, height, width = (int(n) for n in shapes[0].dim[1:])
    shape = (batch, channels, *(size or (height, width)))
    shapes[0].dim[:] = shape
    return caffe.mocha_net(message, backend, phase=caffe.TEST, data=_blank(str(inputs[0].top[0]), shape))


def _blank(top: str, shape: Shape) -> MemoryDataLayer:
    """Stands where images will be put."""
    if min(shape) < 1:
        raise ConfigError(f"the net's input {top!r} has the shape {shape}; expected sizes above 0.")
    return MemoryDataLayer(name=top, data=[np.zeros(shape, np.float32)], tops=[top], batch_size=shape[0])


def load_weights(path: str | os.PathLike[str], net: Net) -> None:
    """Give a net trained parameters.

    The file is a model file or a snapshot of Mocha's, or Caffe's ``.caffemodel`` or ``.caffemodel.h5``, by what is in
    it.

    Args:
        path: the file.
        net: one of layers of Mocha's, or of Caffe's (`mocha.caffe.mocha_net`).

    Raises:
        FormatError: the file is missing, damaged, or lacks a layer of the net; no parameter was changed.
        ShapeError: a layer has another shape; no parameter was changed.
        ConfigError: weights of Caffe's for a layer of Mocha's that they cannot be of.
    """
    from mocha.caffe.files import file_is_hdf5

    if not Path(path).is_file():
        raise FormatError(f"{os.fspath(path)}: there is no such file (working directory {Path.cwd()}). Check the path.")
    if file_is_hdf5(path):
        arrays = read_model(path)
        if arrays:
            assign_parameters(net, arrays, os.fspath(path))
            return
    _load_caffe(path, net)


def _load_caffe(path: str | os.PathLike[str], net: Net) -> None:
    from mocha import caffe
    from mocha.caffe.blobs import fit_array

    weights = caffe.read_weights(path)
    given: dict[Any, Array] = {}
    for layer, parameters in net.parameters_by_layer().items():
        blobs = weights.get(layer, [])
        if blobs and len(blobs) != len(parameters):
            raise FormatError(
                f"{os.fspath(path)}: layer {layer!r} has {len(blobs)} arrays; the net's has {len(parameters)}. Are "
                "these the weights of another net?"
            )
        for at, (parameter, blob) in enumerate(zip(parameters, blobs, strict=False)):
            if blob is not None:  # else another layer owns it
                where = f"{os.fspath(path)}: layer {layer!r}, blob {at}"
                given[parameter] = fit_array(blob, parameter.about.spec.shape, where)
    for layer, parameters in net.parameters_by_layer().items():
        if any(parameter not in given for parameter in parameters):
            known = ", ".join(list(weights)[:10]) + (", ..." if len(weights) > 10 else "")
            raise FormatError(
                f"{os.fspath(path)}: there are no weights for layer {layer!r} of net {net.name!r}; the file has "
                f"{known}. "
                "Are these the weights of another net?"
            )
    for one in net.layers:
        mocha_only = type(one).__module__.startswith("mocha.layers") and one.name in net.parameters_by_layer()
        if mocha_only and not isinstance(one, (ConvolutionLayer, InnerProductLayer)):
            raise ConfigError(
                f"{os.fspath(path)}: Caffe's weights for layer {one.name!r}, a {type(one).__name__}; only "
                "convolutions and inner products are the same in both. Give the net as a .prototxt."
            )
    for parameter, values in given.items():
        net.backend.registry.assign(parameter, values)
