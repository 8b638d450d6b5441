"""Snapshots of a solver's state, ``.solverstate`` and ``.solverstate.h5``, and mean images, ``.binaryproto``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from mocha.caffe.blobs import blob_array, fill_blob
from mocha.caffe.files import PathLike, file_is_hdf5, read_bytes, write_bytes
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.wire import parse_binary
from mocha.errors import FormatError, ShapeError
from mocha.io import atomic_path, open_hdf5
from mocha.io.hdf5 import create_file, datasets, find_dataset, load_h5py, read_array, reading
from mocha.ops import Array

_LONGEST_PATH = 1 << 16


@dataclasses.dataclass
class SolverState:
    """What a solver needs to go on, besides the weights.

    Attributes:
        iteration: the updates done so far.
        learned_net: the path of the weights file, as it was written; "" if there is none.
        history: the buffers of all learnable parameters in net order, and for AdaDelta and Adam the second buffers of
            all of them after that.
        current_step: how many boundaries of the rate policy "multistep" lie behind.
    """

    iteration: int
    learned_net: str
    history: list[Array]
    current_step: int = 0


def read_state(path: PathLike) -> SolverState:
    """A solver's state from its file, binary or HDF5 by what is in it.

    Raises:
        FormatError: the file is missing, damaged, or no state.
    """
    if file_is_hdf5(path):
        return _read_hdf5(path)
    state = parse_binary(read_bytes(path), caffe_pb2.SolverState, str(path), unknown=[])
    if not state.HasField("iter"):
        raise FormatError(f"{path}: this is no solver's state: it has no iteration. Give the *.solverstate.")
    history = [blob_array(blob, f"{path}: history {at}") for at, blob in enumerate(state.history)]
    return SolverState(state.iter, state.learned_net, history, state.current_step)


def write_state(path: PathLike, state: SolverState) -> None:
    """Write a solver's state, as a whole or not at all: HDF5 if the file's name ends in ``.h5``, else binary.

    Raises:
        OSError: the file cannot be written.
    """
    if Path(path).suffix == ".h5":
        _write_hdf5(path, state)
        return
    message = caffe_pb2.SolverState(iter=state.iteration, current_step=state.current_step)
    if state.learned_net:
        message.learned_net = state.learned_net
    for array in state.history:
        fill_blob(message.history.add(), array)
    write_bytes(path, message.SerializeToString())


def _read_hdf5(path: PathLike) -> SolverState:
    with open_hdf5(path) as file, reading(path):
        arrays = {}
        if isinstance(file.get("history", getlink=True), load_h5py().HardLink):
            for name, dataset in datasets(file["history"]):
                if not (name.isascii() and name.isdecimal()):
                    raise FormatError(f"{path}: dataset {dataset.name!r}; expected /history/<number>.")
                arrays[name] = read_array(dataset, kinds="fiu")
        missing = next((at for at in range(len(arrays)) if str(at) not in arrays), None)
        if missing is not None:
            raise FormatError(f"{path}: dataset '/history/{missing}' of {len(arrays)} is not there. Copy it again.")
        return SolverState(
            iteration=_number(file, "iter"),
            learned_net=_text(file, "learned_net") if "learned_net" in file else "",
            history=[arrays[str(at)] for at in range(len(arrays))],
            current_step=_number(file, "current_step") if "current_step" in file else 0,
        )


def _number(file: Any, name: str) -> int:
    values = read_array(find_dataset(file, name), kinds="iu")
    if values.size != 1:
        raise FormatError(f"{file.filename}: dataset {name!r} has shape {values.shape}; expected one number.")
    return int(values.reshape(-1)[0])


def _text(file: Any, name: str) -> str:
    dataset = find_dataset(file, name)
    if dataset.dtype.kind != "S" or dataset.size != 1 or dataset.dtype.itemsize > _LONGEST_PATH:
        raise FormatError(
            f"{file.filename}: dataset {name!r} has type {dataset.dtype} and shape {dataset.shape}; expected one "
            "string of fixed length."
        )
    return bytes(np.asarray(dataset[()]).reshape(-1)[0]).decode(errors="replace")


def _write_hdf5(path: PathLike, state: SolverState) -> None:
    with atomic_path(path) as temporary, create_file(temporary) as file:
        file.create_dataset("iter", data=np.array([state.iteration], np.int32))
        file.create_dataset("learned_net", data=np.bytes_(state.learned_net.encode() or b"\0"))
        file.create_dataset("current_step", data=np.array([state.current_step], np.int32))
        history = file.create_group("history")
        for at, array in enumerate(state.history):
            history.create_dataset(str(at), data=array, dtype="f8" if array.dtype == "f8" else "f4")


def read_blob(path: PathLike) -> Array:
    """The array of a file that holds one `BlobProto`.

    Raises:
        FormatError: the file is missing, damaged, or something else.
    """
    return blob_array(parse_binary(read_bytes(path), caffe_pb2.BlobProto, str(path), unknown=[]), str(path))


def read_mean(path: PathLike) -> Array:
    """A mean image, (C, H, W), channels in the order of the data, BGR as a rule.

    Raises:
        FormatError: the file is missing, damaged, or has not the mean of one image.
    """
    mean = read_blob(path)
    if mean.ndim == 4 and len(mean) == 1:
        mean = mean[0]
    if mean.ndim != 3:
        raise FormatError(f"{path}: shape {mean.shape}; expected one image, (channels, height, width). Is it a mean?")
    return mean


def write_mean(path: PathLike, mean: Array) -> None:
    """Write a mean image, (C, H, W), as Caffe's own tool does.

    Raises:
        ShapeError: the array is no such image.
        OSError: the file cannot be written.
    """
    if np.ndim(mean) != 3:
        raise ShapeError(f"mean: shape {np.shape(mean)}; expected (channels, height, width).")
    message = caffe_pb2.BlobProto()
    fill_blob(message, mean, legacy=True)
    write_bytes(path, message.SerializeToString())
