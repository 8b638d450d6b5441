"""Weights: ``.caffemodel``, a binary net with arrays in its layers, and ``.caffemodel.h5``.

In HDF5 the arrays lie at ``/data/<layer>/<0, 1, ...>``, and gradients, if any, at ``/diff/<layer>/<0, 1, ...>``. An
array that another layer owns is left out there; in the binary format every user has a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mocha.caffe.blobs import blob_array, fill_blob
from mocha.caffe.files import PathLike, file_is_hdf5, is_binary, read_bytes, write_bytes
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.unknown import UnknownField
from mocha.caffe.upgrade import upgrade_net
from mocha.caffe.wire import LIMIT, parse_binary
from mocha.errors import ConfigError, FormatError
from mocha.io import atomic_path, open_hdf5
from mocha.io.hdf5 import create_file, datasets, load_h5py, read_array, reading
from mocha.ops import Array

Weights = dict[str, list[Array | None]]
"""Layer name to its arrays, in the order in which the file has the layers."""

_INSTEAD = "Rename it, or write a binary .caffemodel."
_MOST_BLOBS = 1000  # of one layer
_PER_BLOB = 1024  # bytes of shape, tags and lengths around the values of a blob, at most


def read_weights(path: PathLike, *, unknown: list[UnknownField] | None = None) -> Weights:
    """The arrays of a weights file, ``.caffemodel`` or ``.caffemodel.h5`` by what is in it.

    Old formats are upgraded, double and half precision are read. A shape is what the file says, four axes in old
    files: `mocha.caffe.blobs.fit_array` makes it the net's. If a name comes twice, the later layer counts.

    Args:
        path: the file.
        unknown: is extended by the fields of the binary file that Caffe does not have. They are passed over without a
            warning: they describe layers, and only arrays are wanted here.

    Returns:
        The layers that have arrays, by name. An array is None where an HDF5 file leaves it out because another layer
        owns it. float32, or float64 if the file has that.

    Raises:
        FormatError: the file is missing, damaged, or has no weights' format.
    """
    if file_is_hdf5(path):
        return _read_hdf5(path, "data")
    weights: Weights = {}
    for layer in read_weights_net(path, unknown=unknown).layer:
        if layer.blobs:
            weights[layer.name] = [
                blob_array(blob, f"{path}: layer {layer.name!r}, blob {at}") for at, blob in enumerate(layer.blobs)
            ]
    return weights


def read_weights_net(path: PathLike, *, unknown: list[UnknownField] | None = None) -> Any:
    """The net of a ``.caffemodel``, with definitions and arrays, as a `NetParameter` of the current format.

    Raises:
        FormatError: the file is missing, damaged, or no binary net.
    """
    data = read_bytes(path)
    if not is_binary(data):
        raise FormatError(f"{path}: expected weights, found text. Give the .caffemodel, or read_net for a .prototxt.")
    net = parse_binary(data, caffe_pb2.NetParameter, str(path), unknown=[] if unknown is None else unknown)
    upgrade_net(net, str(path))
    if not net.layer:
        raise FormatError(f"{path}: expected weights, found a binary message without layers. Check the path.")
    return net


def write_weights(
    path: PathLike,
    weights: Mapping[str, Sequence[Array | None]],
    net: Any = None,
    diffs: Mapping[str, Sequence[Array | None]] | None = None,
    *,
    hdf5: bool | None = None,
) -> None:
    """Write a weights file, as a whole or not at all.

    Args:
        path: the file.
        weights: layer name to its arrays: float64 is kept, any other type becomes float32. None is left out of HDF5,
            and cannot be in a binary file.
        net: a `NetParameter` whose layers' definitions go into the binary file, as Caffe writes them; in HDF5 its
            layers without arrays get an empty group. Without it there are names only.
        diffs: gradients, in the same way. They need an array each.
        hdf5: whether it is HDF5, else binary; None for HDF5 if the file's name ends in ``.h5``.

    Raises:
        ConfigError: a name that the net has not, an array that is None, or too much for the format.
        OSError: the file cannot be written.
    """
    if net is not None and (strangers := set(weights) - {layer.name for layer in net.layer}):
        raise ConfigError(f"weights of layers {sorted(strangers)}: the net has no such layers. Rename or leave out.")
    if hdf5 or (hdf5 is None and Path(path).suffix == ".h5"):
        _write_hdf5(path, weights, net, diffs)
    else:
        write_bytes(path, _as_net(weights, net, diffs or {}, str(path)).SerializeToString())


def _as_net(
    weights: Mapping[str, Sequence[Array | None]],
    net: Any,
    diffs: Mapping[str, Sequence[Array | None]],
    where: str,
) -> Any:
    size = sum(array.size * 8 + _PER_BLOB for arrays in (*weights.values(), *diffs.values()) for array in _some(arrays))
    if size > LIMIT:
        raise ConfigError(f"{where}: {size} bytes of weights; a binary file has room for {LIMIT}. Name it *.h5.")
    written = caffe_pb2.NetParameter()
    if net is None:
        for name in weights:
            written.layer.add(name=name)
    else:
        written.CopyFrom(net)
    for layer in written.layer:
        layer.ClearField("blobs")
        gradients = diffs.get(layer.name, ())
        for at, array in enumerate(weights.get(layer.name, ())):
            if array is None:
                raise ConfigError(f"layer {layer.name!r}, blob {at} is None: a binary file needs all arrays.")
            fill_blob(layer.blobs.add(), array, gradients[at] if at < len(gradients) else None)
    return written


def _some(arrays: Sequence[Array | None]) -> Iterator[Array]:
    return (array for array in arrays if array is not None)


def _read_hdf5(path: PathLike, group: str) -> Weights:
    with open_hdf5(path) as file, reading(path):
        found: dict[str, dict[int, Array]] = {}
        root = file.get(group) if isinstance(file.get(group, getlink=True), load_h5py().HardLink) else None
        if not isinstance(root, load_h5py().Group):
            raise FormatError(f"{path}: expected weights of Caffe, found an HDF5 file without a group {group!r}.")
        for name, dataset in datasets(root):
            layer, _, index = name.rpartition("/")
            if not (index.isascii() and index.isdecimal() and int(index[:9]) < _MOST_BLOBS and layer):
                raise FormatError(
                    f"{path}: dataset {dataset.name!r}; expected /{group}/<layer>/<number below {_MOST_BLOBS}>. Is it "
                    "a file of Caffe?"
                )
            found.setdefault(layer, {})[int(index)] = read_array(dataset, kinds="fiu")
    return {
        layer: [blobs.get(at) for at in range(max(blobs) + 1)]
        for layer, blobs in sorted(found.items(), key=lambda item: item[0])
    }


def _write_hdf5(
    path: PathLike,
    weights: Mapping[str, Sequence[Array | None]],
    net: Any,
    diffs: Mapping[str, Sequence[Array | None]] | None,
) -> None:
    names = list(dict.fromkeys([layer.name for layer in net.layer] if net is not None else weights))
    with atomic_path(path) as temporary, create_file(temporary) as file:
        for group, arrays in (("data", weights), ("diff", diffs)):
            if arrays is None:
                continue
            root = file.create_group(group)
            for name in names:
                if any(part in ("", ".") for part in name.split("/")) or "\0" in name:
                    raise ConfigError(f"layer {name!r}: HDF5 has no such name. {_INSTEAD}")
                try:
                    layer = root.require_group(name)
                    for at, array in enumerate(arrays.get(name, ())):
                        if array is not None:
                            layer.create_dataset(str(at), data=array, dtype="f8" if array.dtype == "f8" else "f4")
                except (ValueError, TypeError) as error:  # as for layers "a" and "a/0"
                    raise ConfigError(f"layer {name!r} has no place in HDF5 ({error}). {_INSTEAD}") from error
