"""A Caffe net as a net of Mocha's own, for its solvers and coffee breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mocha.backends import AbstractBackend
from mocha.caffe.layer_types import CaffeLayer
from mocha.caffe.layer_types.sources import HDF5Data, HDF5Output, SourceOfCaffe
from mocha.caffe.net import TRAIN, Net
from mocha.errors import ConfigError
from mocha.layers import DataLayer, HDF5DataLayer, HDF5OutputLayer, Layer
from mocha.net import Net as MochaNet


def mocha_layers(net: Net, data: DataLayer | None = None) -> list[Layer]:
    """The layers of a Caffe net, in its order, as layers of Mocha's nets.

    Args:
        net: the net.
        data: what takes the place of its layers that have no data of their own: `Input`, `MemoryData`, `DummyData`.

    Raises:
        ConfigError: there is such a layer, and no data.
    """
    layers: list[Layer] = [] if data is None else [data]
    for layer in net.engine.layers:
        layers += _mocha_layer(layer, data)
    return layers


def _mocha_layer(layer: CaffeLayer, data: DataLayer | None) -> list[Layer]:
    if isinstance(layer, HDF5Data):
        p = layer.about.hdf5_data_param
        return [
            HDF5DataLayer(name=layer.name, source=p.source, batch_size=p.batch_size, shuffle=p.shuffle, tops=layer.tops)
        ]
    if isinstance(layer, HDF5Output):
        path = layer.about.hdf5_output_param.file_name
        names = ("data", "label")
        return [
            HDF5OutputLayer(name=layer.name, filename=path, datasets=names, force_overwrite=True, bottoms=layer.bottoms)
        ]
    if isinstance(layer, SourceOfCaffe):
        missing = [top for top in layer.tops if data is None or top not in data.tops]
        if missing:
            raise ConfigError(
                f"layer {layer.name!r} ({layer.kind}) has no data for {', '.join(missing)}; give a data layer with "
                "tops of these names as `data`."
            )
        return []
    return [layer]


def mocha_net(
    network_file: Any,
    backend: AbstractBackend,
    *,
    phase: int = TRAIN,
    weights: str | Path | None = None,
    data: DataLayer | None = None,
    seed: int | None = None,
    allow_python_layers: bool | None = None,
) -> MochaNet:
    """A Caffe net as a `mocha.Net`, for Mocha's solvers, coffee breaks and files.

    Args:
        network_file: a ``.prototxt``, or a `NetParameter`.
        backend: where it runs and who holds its parameters.
        phase: `caffe.TRAIN` or `caffe.TEST`: which layers are in.
        weights: a ``.caffemodel`` or ``.caffemodel.h5``.
        data: takes the place of `Input`, `MemoryData` and `DummyData` layers, with tops of the same names.
        seed: of first values, dropout and shuffling.
        allow_python_layers: as for `Net`.

    Raises:
        FormatError: a file is missing or damaged.
        ConfigError: a layer cannot be, or has no data.
        ShapeError: shapes do not fit.
    """
    net = Net(network_file, phase, weights=weights, backend=backend, seed=seed, allow_python_layers=allow_python_layers)
    layers = mocha_layers(net, data)
    net.close()
    return MochaNet(net.name or "caffe", backend, layers, seed=seed, in_order=True)
