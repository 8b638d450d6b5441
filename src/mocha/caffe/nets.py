"""Files of nets and solvers: ``.prototxt``, and nets in the binary format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mocha.caffe.files import PathLike, decoded, is_binary, is_hdf5, read_bytes, write_bytes
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.text import parse_text, to_text
from mocha.caffe.unknown import UnknownField
from mocha.caffe.upgrade import upgrade_net, upgrade_solver
from mocha.caffe.wire import parse_binary
from mocha.errors import FormatError


def read_net(path: PathLike, *, strict: bool = False, unknown: list[UnknownField] | None = None) -> Any:
    """A net from its file, text or binary by what is in it, brought to the current format.

    Args:
        path: the file.
        strict: refuse fields that Caffe does not have. Otherwise they are passed over.
        unknown: is extended by the fields that were passed over; None to give one warning for them all.

    Returns:
        A `NetParameter`.

    Raises:
        FormatError: the file is missing or is no net.
    """
    data = read_bytes(path)
    if is_hdf5(data):
        raise FormatError(f"{path}: this is an HDF5 file, which holds weights and no net. Give the net's .prototxt.")
    if is_binary(data):
        net = parse_binary(data, caffe_pb2.NetParameter, str(path), strict=strict, unknown=unknown)
    else:
        net = parse_text(decoded(data), caffe_pb2.NetParameter, str(path), strict=strict, unknown=unknown)
    upgrade_net(net, str(path))
    return net


def parse_net(text: str, where: str = "net", *, strict: bool = False, unknown: list[UnknownField] | None = None) -> Any:
    """Like `read_net`, from text."""
    net = parse_text(text, caffe_pb2.NetParameter, where, strict=strict, unknown=unknown)
    upgrade_net(net, where)
    return net


def write_net(path: PathLike, net: Any) -> None:
    """Write a net: as text to a file that is named ``*.prototxt`` or ``*.txt``, else binary.

    Raises:
        OSError: the file cannot be written.
    """
    text = Path(path).suffix in (".prototxt", ".txt")
    write_bytes(path, to_text(net).encode() if text else net.SerializeToString())


def read_solver(path: PathLike, *, strict: bool = False, unknown: list[UnknownField] | None = None) -> Any:
    """A solver from its text, brought to the current format, with the nets within it.

    Args:
        path: the file.
        strict: as for `read_net`.
        unknown: as for `read_net`.

    Returns:
        A `SolverParameter`.

    Raises:
        FormatError: the file is missing or is no solver.
    """
    data = read_bytes(path)
    if is_hdf5(data) or is_binary(data):
        raise FormatError(f"{path}: expected the text of a solver, found binary data. Give the solver's .prototxt.")
    return parse_solver(decoded(data), str(path), strict=strict, unknown=unknown)


def parse_solver(
    text: str, where: str = "solver", *, strict: bool = False, unknown: list[UnknownField] | None = None
) -> Any:
    """Like `read_solver`, from text."""
    solver = parse_text(text, caffe_pb2.SolverParameter, where, strict=strict, unknown=unknown)
    upgrade_solver(solver, where)
    return solver
