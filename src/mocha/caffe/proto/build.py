"""Classes of messages, made from the schema without protoc.

They live in a descriptor pool of their own: a process may import Caffe's own ``caffe_pb2`` too, which has messages of
the same names, and the default pool takes each name only once.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from mocha.caffe.proto.schema import ENUMS, MESSAGES, Enum, Field, Message

PACKAGE = "caffe"

_Proto = descriptor_pb2.FieldDescriptorProto
_LABELS = {
    "optional": _Proto.LABEL_OPTIONAL,
    "required": _Proto.LABEL_REQUIRED,
    "repeated": _Proto.LABEL_REPEATED,
    "packed": _Proto.LABEL_REPEATED,
}
_SCALARS = {
    "bool": _Proto.TYPE_BOOL,
    "bytes": _Proto.TYPE_BYTES,
    "double": _Proto.TYPE_DOUBLE,
    "float": _Proto.TYPE_FLOAT,
    "int32": _Proto.TYPE_INT32,
    "int64": _Proto.TYPE_INT64,
    "string": _Proto.TYPE_STRING,
    "uint32": _Proto.TYPE_UINT32,
}


def file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    """The schema as protobuf's own description of a file."""
    file = descriptor_pb2.FileDescriptorProto(name="mocha/caffe.proto", package=PACKAGE, syntax="proto2")
    for enum in ENUMS:
        _fill_enum(file.enum_type.add(), enum)
    for message in MESSAGES:
        described = file.message_type.add(name=message.name)
        for enum in message.enums:
            _fill_enum(described.enum_type.add(), enum)
        for field in message.fields:
            _fill_field(described.field.add(), field, message)
    return file


def build() -> tuple[Any, dict[str, Any]]:
    """The file's descriptor, and everything that protoc's module would export: classes, enums and enum values."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file_descriptor())
    file = pool.FindFileByName("mocha/caffe.proto")
    names: dict[str, Any] = {}
    for name, message in file.message_types_by_name.items():
        names[name] = _class_of(message, pool)
    for name, enum in file.enum_types_by_name.items():
        names[name] = EnumTypeWrapper(enum)
        names |= {value.name: value.number for value in enum.values}
    return file, names


def _class_of(message: Any, pool: descriptor_pool.DescriptorPool) -> Any:
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(message)
    old: Any = message_factory  # protobuf 4.21, the first of 4, has only what 5 took away
    return old.MessageFactory(pool).GetPrototype(message)


def _fill_enum(described: descriptor_pb2.EnumDescriptorProto, enum: Enum) -> None:
    described.name = enum.name
    for name, number in enum.items():
        described.value.add(name=name, number=number)


def _fill_field(described: descriptor_pb2.FieldDescriptorProto, field: Field, message: Message) -> None:
    described.name, described.number, described.label = field.name, field.number, _LABELS[field.label]
    if field.label == "packed":
        described.options.packed = True
    if field.default is not None:
        described.default_value = field.default
    if field.type in _SCALARS:
        described.type = _SCALARS[field.type]
    elif any(field.type == enum.name for enum in message.enums):
        described.type, described.type_name = _Proto.TYPE_ENUM, f".{PACKAGE}.{message.name}.{field.type}"
    elif any(field.type == other.name for other in MESSAGES):
        described.type, described.type_name = _Proto.TYPE_MESSAGE, f".{PACKAGE}.{field.type}"
    else:  # an enum of the file, or of another message
        described.type, described.type_name = _Proto.TYPE_ENUM, f".{PACKAGE}.{field.type}"
