"""Messages in protobuf's binary format: ``.caffemodel``, ``.binaryproto``, ``.solverstate``.

A walk over the bytes comes before protobuf parses them. It sees that lengths stay inside the file and that the message
will not take far more memory than the file (an empty layer is three bytes in a file and half a kilobyte in memory). It
notes what Caffe does not have. And it makes two things harmless that forks and old programs write: parameters of a
layer under a number that Caffe has given to another message, and names that are not UTF-8.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from mocha.caffe.proto.schema import MESSAGES
from mocha.caffe.text import check_complete
from mocha.caffe.unknown import UnknownField, report
from mocha.errors import FormatError

LIMIT = 2**31 - 1
"""The most bytes that a message may have, by protobuf's format."""

VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)

_FREE = 64 << 20
_GROWTH = 4
_MOST_UNKNOWN = 100_000
# Numbers that forks and later versions of Caffe gave to different layers: from here on a misfit is not damage.
_CONTESTED = 140

_Scalar = FieldDescriptor
_WIRE = {
    _Scalar.TYPE_BOOL: VARINT,
    _Scalar.TYPE_ENUM: VARINT,
    _Scalar.TYPE_INT32: VARINT,
    _Scalar.TYPE_INT64: VARINT,
    _Scalar.TYPE_UINT32: VARINT,
    _Scalar.TYPE_FLOAT: FIXED32,
    _Scalar.TYPE_DOUBLE: FIXED64,
    _Scalar.TYPE_STRING: LENGTH,
    _Scalar.TYPE_BYTES: LENGTH,
    _Scalar.TYPE_MESSAGE: LENGTH,
}


_REPEATED = {
    (message.name, field.name)
    for message in MESSAGES
    for field in message.fields
    if field.label in ("repeated", "packed")
}


class Damaged(Exception):
    """The bytes are not a message."""


class _TooMuch(Exception):
    """The message would take too much memory."""


class Piece(NamedTuple):
    """A field as it stands in the bytes: its number, its wire type, where its tag starts, and where its value lies."""

    number: int
    wire: int
    tag: int
    start: int
    end: int


def parse_binary(
    data: bytes, kind: Any, where: str, *, strict: bool = False, unknown: list[UnknownField] | None = None
) -> Any:
    """A message from its bytes.

    Args:
        data: the bytes.
        kind: the class of the message, from `mocha.caffe.proto.caffe_pb2`.
        where: the name of the file, for errors.
        strict: refuse fields that Caffe does not have. Otherwise they are noted; the message keeps them as they are.
        unknown: is extended by these fields; None to give one warning for them all.

    Returns:
        An object of class `kind`.

    Raises:
        FormatError: the bytes are too many, truncated, or not such a message.
    """
    name = kind.DESCRIPTOR.name
    if len(data) > LIMIT:
        raise FormatError(f"{where}: {len(data)} bytes; the format has room for {LIMIT}. Use an HDF5 file.")
    walk = _Walk(data)
    message = kind()
    try:
        walk.run(0, len(data), kind.DESCRIPTOR, "", [""])
        message.ParseFromString(walk.repaired())
    except (Damaged, _TooMuch, DecodeError, ValueError, RecursionError) as error:
        raise FormatError(
            f"{where}: this is no binary {name}, or the file is damaged ({error}). Check the path, or copy it again."
        ) from error
    check_complete(message, where)
    found = [UnknownField(where, layer[0], path) for path, layer in walk.found]
    report(found, unknown, strict=strict)
    return message


def pieces(data: bytes, start: int, end: int) -> Iterator[Piece]:
    """The fields of a message that lies in `data` from `start` to `end`.

    Raises:
        Damaged: a length leads beyond the end, or a tag is none.
    """
    at = start
    while at < end:
        piece = _piece(data, at, end)
        at = piece.end
        yield piece


def _piece(data: bytes, at: int, end: int) -> Piece:
    tag, start = _varint(data, at, end)
    number, wire = tag >> 3, tag & 7
    if not 0 < number < 1 << 29:
        raise Damaged(f"field number {number} at byte {at}")
    if wire == VARINT:
        _, stop = _varint(data, start, end)
    elif wire == LENGTH:
        length, start = _varint(data, start, end)
        stop = start + length
    elif wire in (FIXED32, FIXED64):
        stop = start + (4 if wire == FIXED32 else 8)
    elif wire == START_GROUP:
        stop = _end_of_group(data, start, end)
    else:
        raise Damaged(f"wire type {wire} at byte {at}")
    if stop > end:
        raise Damaged(f"the field at byte {at} ends {stop - end} bytes after its message")
    return Piece(number, wire, at, start, stop)


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise Damaged(f"a number that starts before byte {at} does not end")


def _end_of_group(data: bytes, at: int, end: int) -> int:
    """Where a group ends. Groups are an old way of nesting that no file of Caffe has; they may nest without bound."""
    depth = 1
    while depth:
        tag, after = _varint(data, at, end)
        if tag & 7 == END_GROUP:
            depth, at = depth - 1, after
        elif tag & 7 == START_GROUP:
            depth, at = depth + 1, after
        else:
            at = _piece(data, at, end).end
        if depth > 100:
            raise Damaged("groups are nested too deep")
    return at


class _Known(NamedTuple):
    """What the walk has to know of a field: its name, wire type, whether it may be packed or is text, its message."""

    name: str
    wire: int
    packable: bool
    text: bool
    message: Descriptor | None


@functools.cache
def _table(descriptor: Descriptor) -> dict[int, _Known]:
    table = {}
    for field in descriptor.fields:
        wire = _WIRE[field.type]
        packable = wire != LENGTH and (descriptor.name, field.name) in _REPEATED
        table[field.number] = _Known(field.name, wire, packable, field.type == field.TYPE_STRING, field.message_type)
    return table


class _Walk:
    """The walk over the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.memory = _FREE + _GROWTH * len(data)
        self.patches: list[tuple[int, bytes]] = []
        self.found: list[tuple[str, list[str]]] = []

    def run(self, start: int, end: int, descriptor: Descriptor, path: str, layer: list[str]) -> None:
        """Walk through one message. The schema has no message within itself, so this is not deeper than the schema."""
        table = _table(descriptor)
        self.take(64 + 8 * len(table))
        for piece in pieces(self.data, start, end):
            known = table.get(piece.number)
            if known is None or (piece.wire != known.wire and not (known.packable and piece.wire == LENGTH)):
                self.note(f"{path}#{piece.number}", layer)
            elif known.message is not None:
                contested = descriptor.name == "LayerParameter" and piece.number >= _CONTESTED
                self.message(piece, known.message, f"{path}{known.name}.", layer, contested)
            elif known.wire == LENGTH:
                self.take(16)
                if known.text:
                    self.text(piece, known.name == "name" and descriptor.name.endswith("LayerParameter"), layer)

    def message(self, piece: Piece, message: Descriptor, path: str, layer: list[str], contested: bool) -> None:
        if message.name.endswith("LayerParameter"):
            self.run(piece.start, piece.end, message, "", [""])
            return
        patches, found = len(self.patches), len(self.found)
        try:
            self.run(piece.start, piece.end, message, path, layer)
        except Damaged:
            if not contested:
                raise
            del self.patches[patches:], self.found[found:]
            _, after_tag = _varint(self.data, piece.tag, piece.start)
            self.patches.append((piece.tag, _unused_tag(after_tag - piece.tag)))
            self.note(f"#{piece.number}", layer)

    def text(self, piece: Piece, is_name: bool, layer: list[str]) -> None:
        raw = self.data[piece.start : piece.end]
        try:
            value = raw.decode()
        except UnicodeDecodeError:
            value = "".join(chr(byte) if byte < 128 else "?" for byte in raw)
            self.patches.append((piece.start, value.encode()))
        if is_name:
            layer[0] = value

    def note(self, path: str, layer: list[str]) -> None:
        if len(self.found) >= _MOST_UNKNOWN:
            raise Damaged(f"more than {_MOST_UNKNOWN} fields that Caffe does not have")
        self.found.append((path, layer))

    def take(self, size: int) -> None:
        self.memory -= size
        if self.memory < 0:
            raise _TooMuch("its many small messages would take far more memory than the file")

    def repaired(self) -> bytes:
        """The bytes with the patches on them; each is as long as what it replaces."""
        if not self.patches:
            return self.data
        data = bytearray(self.data)
        for at, patch in self.patches:
            data[at : at + len(patch)] = patch
        return bytes(data)


def _unused_tag(size: int) -> bytes:
    """The tag of a number that nobody has, in so many bytes: under it, parsers pass a field over."""
    tag = ((1 << 7 * min(size, 4)) - 8) | LENGTH  # the highest number that fits
    return bytes((tag >> 7 * i) & 127 | (128 if i < size - 1 else 0) for i in range(size))
