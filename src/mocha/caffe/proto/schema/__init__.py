"""Caffe's file formats as a table: every message, every field with its number, type, label and default."""

from mocha.caffe.proto.schema import blobs, data, filters, forks, losses, maps, nets, old, solvers
from mocha.caffe.proto.schema.records import Enum, Field, Message

CAFFE = (
    blobs.MESSAGES + nets.MESSAGES + filters.MESSAGES + maps.MESSAGES + losses.MESSAGES + data.MESSAGES
    + solvers.MESSAGES + old.MESSAGES
)  # fmt: skip
"""The messages of BVLC Caffe, without what forks add."""

MESSAGES = tuple(
    message._replace(fields=message.fields + forks.FIELDS.get(message.name, ())) for message in CAFFE + forks.MESSAGES
)
"""All messages, with those of forks and with the fields that forks add."""

ENUMS = (Enum("Phase", "TRAIN=0 TEST=1"), *forks.ENUMS)
"""The enums that belong to no message."""

__all__ = ["CAFFE", "ENUMS", "MESSAGES", "Enum", "Field", "Message"]
