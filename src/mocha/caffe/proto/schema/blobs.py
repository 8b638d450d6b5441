"""Blobs, fillers and the wrappers of raw samples."""

from mocha.caffe.proto.schema.records import Enum, Message, optional, packed, repeated

MESSAGES = (
    Message(
        "BlobShape",
        fields=(packed(1, "dim", "int64"),),
    ),
    Message(
        "BlobProto",
        fields=(
            optional(1, "num", "int32", "0"),
            optional(2, "channels", "int32", "0"),
            optional(3, "height", "int32", "0"),
            optional(4, "width", "int32", "0"),
            packed(5, "data", "float"),
            packed(6, "diff", "float"),
            optional(7, "shape", "BlobShape"),
            packed(8, "double_data", "double"),
            packed(9, "double_diff", "double"),
        ),
    ),
    Message(
        "BlobProtoVector",
        fields=(repeated(1, "blobs", "BlobProto"),),
    ),
    Message(
        "FillerParameter",
        enums=(Enum("VarianceNorm", "FAN_IN=0 FAN_OUT=1 AVERAGE=2"),),
        fields=(
            optional(1, "type", "string", "constant"),
            optional(2, "value", "float", "0"),
            optional(3, "min", "float", "0"),
            optional(4, "max", "float", "1"),
            optional(5, "mean", "float", "0"),
            optional(6, "std", "float", "1"),
            optional(7, "sparse", "int32", "-1"),
            optional(8, "variance_norm", "VarianceNorm", "FAN_IN"),
        ),
    ),
    Message(
        "Datum",
        fields=(
            optional(1, "channels", "int32"),
            optional(2, "height", "int32"),
            optional(3, "width", "int32"),
            optional(4, "data", "bytes"),
            optional(5, "label", "int32"),
            repeated(6, "float_data", "float"),
            optional(7, "encoded", "bool", "false"),
        ),
    ),
)
