"""Snapshots: everything that a training run needs in order to go on as if it had never stopped.

The layout of a snapshot file, version 1. It is an HDF5 file of the 1.8 format, whose headers carry checksums.

===================  ==============================================================================================
``/``                attributes ``format`` = "mocha-snapshot" and ``method``, its name percent-encoded (strings of
                     fixed length); ``version`` = 1, ``iteration``, ``seed``, ``counter``, ``crc32`` (int64)
``/<layer>___<p>``   the parameters, one dataset each, float32 or float64: a snapshot is a model file, see
                     `mocha.io.hdf5`
``/solver``          one attribute a scalar of the solver (float64), its name percent-encoded
``/solver/state``    one dataset a state array, floating-point or whole numbers, its key percent-encoded
``/data``            one attribute a data layer (int64): its position; the layer's name percent-encoded
``/policies``        one attribute ``<policy>/`` = 0 a policy or break that remembers something, and one
                     ``<policy>/<name>`` a number of it (float64); policy and name percent-encoded
===================  ==============================================================================================

Percent-encoding is that of URLs, over UTF-8, with all but ASCII letters, digits and ``_-~`` encoded; the empty
name is a lone ``%``. ``crc32`` is the checksum of all that the snapshot says (see `_checksum`), so that damage within a
dataset does not go unnoticed.
"""

from __future__ import annotations

import dataclasses
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mocha.console import logger
from mocha.errors import ConfigError, FormatError
from mocha.io.atomic import atomic_path
from mocha.io.hdf5 import (
    attribute,
    create_file,
    datasets,
    open_hdf5,
    quote_name,
    read_array,
    read_parameters,
    reading,
    unquote_name,
    write_model,
    writing,
)
from mocha.ops import Array

FORMAT = "mocha-snapshot"
VERSION = 1

_NAME = re.compile(r"snapshot-([0-9]+)\.h5")


@dataclasses.dataclass(frozen=True, eq=False)
class Snapshot:
    """The state of a training run, or only the parameters of a net.

    Attributes:
        parameters: ``<layer>___<param>`` to values.
        method: the name of the solver's method, as "SGD"; "" for a plain model.
        scalars: the solver's numbers: obj_val, learning_rate, momentum, ...
        state: the solver's arrays, keyed as ``velocity/conv1___filter``.
        iteration: the updates done so far.
        seed: the seed of the run.
        counter: the training passes so far, which the random numbers are counted by.
        positions: data layer to the number of batches that it handed out.
        policies: the numbers that a rate policy or a break remembers, by its name.
    """

    parameters: dict[str, Array]
    method: str = ""
    scalars: dict[str, float] = dataclasses.field(default_factory=dict)
    state: dict[str, Array] = dataclasses.field(default_factory=dict)
    iteration: int = 0
    seed: int = 0
    counter: int = 0
    positions: dict[str, int] = dataclasses.field(default_factory=dict)
    policies: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)


def write_snapshot(path: str | os.PathLike[str], snapshot: Snapshot) -> None:
    """Write a snapshot, as a whole or not at all. Missing directories are made.

    Raises:
        ConfigError: the snapshot holds something that has no place in a file.
        MochaError: the file cannot be written.
    """
    for key, array in snapshot.state.items():
        if np.asarray(array).dtype.kind not in "fiu":
            raise ConfigError(f"solver state {key!r} has elements of type {np.asarray(array).dtype}; expected numbers.")
    with writing(path), atomic_path(path) as temporary, create_file(temporary) as file:
        file.attrs["format"] = np.bytes_(FORMAT.encode())
        file.attrs["method"] = np.bytes_(quote_name(snapshot.method).encode())
        file.attrs["version"] = np.int64(VERSION)
        for name in ("iteration", "seed", "counter"):
            file.attrs[name] = np.int64(getattr(snapshot, name))
        file.attrs["crc32"] = np.int64(_checksum(snapshot))
        state = file.create_group("solver/state")
        for key, array in snapshot.state.items():
            state.create_dataset(quote_name(key), data=array)
        for name, scalar in snapshot.scalars.items():
            file["solver"].attrs[quote_name(name)] = np.float64(scalar)
        data = file.create_group("data")
        for name, position in snapshot.positions.items():
            data.attrs[quote_name(name)] = np.int64(position)
        policies = file.create_group("policies")
        for name, numbers in snapshot.policies.items():
            policies.attrs[f"{quote_name(name)}/"] = np.float64(0)
            for part, number in numbers.items():
                policies.attrs[f"{quote_name(name)}/{quote_name(part)}"] = np.float64(number)
        write_model(file, snapshot.parameters)


def read_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Read a snapshot, or a plain model file as a snapshot of method "" and iteration 0.

    Raises:
        FormatError: the file is missing or damaged, not of this format, or of a newer version.
    """
    with open_hdf5(path) as file, reading(path):
        if attribute(file, "format", "S") != FORMAT.encode():
            return Snapshot(read_parameters(file))
        version = int(attribute(file, "version"))
        if version > VERSION:
            raise FormatError(
                f"{path}: the snapshot is of version {version}, and this Mocha reads up to version {VERSION}. "
                "Update Mocha."
            )
        snapshot = _read(file)
        if _checksum(snapshot) != int(attribute(file, "crc32")):
            raise FormatError(f"{path}: the snapshot is damaged, its checksum does not fit. Use an earlier one.")
        return snapshot


def _read(file: Any) -> Snapshot:
    policies: dict[str, dict[str, float]] = {}
    for name, number in _attributes(file["policies"]):
        policy, _, part = name.partition("/")
        numbers = policies.setdefault(unquote_name(policy), {})
        if part:
            numbers[unquote_name(part)] = float(number)
    return Snapshot(
        parameters=read_parameters(file),
        method=unquote_name(attribute(file, "method", "S").decode()),
        scalars={unquote_name(name): float(value) for name, value in _attributes(file["solver"])},
        state={unquote_name(key): read_array(d, kinds="fiu") for key, d in datasets(file["solver/state"])},
        iteration=int(attribute(file, "iteration")),
        seed=int(attribute(file, "seed")),
        counter=int(attribute(file, "counter")),
        positions={unquote_name(name): int(value) for name, value in _attributes(file["data"])},
        policies=policies,
    )


def _attributes(group: Any) -> list[tuple[str, Any]]:
    return [(name, attribute(group, name)) for name in group.attrs]


def _checksum(snapshot: Snapshot) -> int:
    """The CRC-32 of the numbers and names as Python prints them, sorted, then of each array, sorted by key.

    An array counts as its key, type and shape as Python prints them, then its bytes, row-major and little-endian.
    """
    head = (
        str(snapshot.method),
        (int(snapshot.iteration), int(snapshot.seed), int(snapshot.counter)),
        sorted((name, float(value)) for name, value in snapshot.scalars.items()),
        sorted((name, int(value)) for name, value in snapshot.positions.items()),
        sorted((name, sorted((k, float(v)) for k, v in d.items())) for name, d in snapshot.policies.items()),
    )
    crc = zlib.crc32(repr(head).encode())
    return _checksum_arrays(snapshot.state, _checksum_arrays(snapshot.parameters, crc))


def _checksum_arrays(arrays: Mapping[str, Array], crc: int) -> int:
    for key in sorted(arrays):
        array = np.asarray(arrays[key])
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        crc = zlib.crc32(repr((key, little.dtype.str, array.shape)).encode(), crc)
        crc = zlib.crc32(little.reshape(-1).view(np.uint8).data, crc)
    return crc


def snapshot_path(directory: str | os.PathLike[str], iteration: int) -> Path:
    """Where the snapshot of an iteration lies: ``snapshot-000500.h5`` in the directory."""
    return Path(directory) / f"snapshot-{iteration:06d}.h5"


def set_aside_snapshots(directory: str | os.PathLike[str], *, later_than: int) -> None:
    """Rename later iterations' snapshots to ``abandoned-<iteration>.h5``: training goes another way from there."""
    for path in Path(directory).iterdir():
        match = _NAME.fullmatch(path.name)
        if match and int(match[1]) > later_than:
            path.replace(path.with_name(f"abandoned-{match[1]}.h5"))


def newest_snapshot(directory: str | os.PathLike[str], *, at_most: int | None = None) -> tuple[Path, Snapshot] | None:
    """The snapshot of the highest iteration that can be read; None if there is none, or no such directory.

    The numbers in the names count, not the times of the files. A damaged snapshot is reported in the log, and the one
    before it is tried.

    Args:
        directory: where the snapshots lie.
        at_most: pass over snapshots of later iterations.
    """
    place = Path(directory)
    if not place.is_dir():
        return None
    found = [(int(match[1]), path) for path in place.iterdir() if (match := _NAME.fullmatch(path.name))]
    for iteration, path in sorted(found, reverse=True):
        if at_most is not None and iteration > at_most:
            continue
        try:
            return path, read_snapshot(path)
        except FormatError as error:
            logger().warning("Snapshot %s cannot be used, trying the one before it: %s", path.name, error)
    return None
