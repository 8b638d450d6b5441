"""Layers that bring data in or write it out."""

from mocha.caffe.proto.schema.records import Enum, Message, optional, repeated

MESSAGES = (
    Message(
        "InputParameter",
        fields=(repeated(1, "shape", "BlobShape"),),
    ),
    Message(
        "TransformationParameter",
        fields=(
            optional(1, "scale", "float", "1"),
            optional(2, "mirror", "bool", "false"),
            optional(3, "crop_size", "uint32", "0"),
            optional(4, "mean_file", "string"),
            repeated(5, "mean_value", "float"),
            optional(6, "force_color", "bool", "false"),
            optional(7, "force_gray", "bool", "false"),
        ),
    ),
    Message(
        "DataParameter",
        enums=(Enum("DB", "LEVELDB=0 LMDB=1"),),
        fields=(
            optional(1, "source", "string"),
            optional(2, "scale", "float", "1"),
            optional(3, "mean_file", "string"),
            optional(4, "batch_size", "uint32"),
            optional(5, "crop_size", "uint32", "0"),
            optional(6, "mirror", "bool", "false"),
            optional(7, "rand_skip", "uint32", "0"),
            optional(8, "backend", "DB", "LEVELDB"),
            optional(9, "force_encoded_color", "bool", "false"),
            optional(10, "prefetch", "uint32", "4"),
        ),
    ),
    Message(
        "ImageDataParameter",
        fields=(
            optional(1, "source", "string"),
            optional(2, "scale", "float", "1"),
            optional(3, "mean_file", "string"),
            optional(4, "batch_size", "uint32", "1"),
            optional(5, "crop_size", "uint32", "0"),
            optional(6, "mirror", "bool", "false"),
            optional(7, "rand_skip", "uint32", "0"),
            optional(8, "shuffle", "bool", "false"),
            optional(9, "new_height", "uint32", "0"),
            optional(10, "new_width", "uint32", "0"),
            optional(11, "is_color", "bool", "true"),
            optional(12, "root_folder", "string", ""),
        ),
    ),
    Message(
        "WindowDataParameter",
        fields=(
            optional(1, "source", "string"),
            optional(2, "scale", "float", "1"),
            optional(3, "mean_file", "string"),
            optional(4, "batch_size", "uint32"),
            optional(5, "crop_size", "uint32", "0"),
            optional(6, "mirror", "bool", "false"),
            optional(7, "fg_threshold", "float", "0.5"),
            optional(8, "bg_threshold", "float", "0.5"),
            optional(9, "fg_fraction", "float", "0.25"),
            optional(10, "context_pad", "uint32", "0"),
            optional(11, "crop_mode", "string", "warp"),
            optional(12, "cache_images", "bool", "false"),
            optional(13, "root_folder", "string", ""),
        ),
    ),
    Message(
        "HDF5DataParameter",
        fields=(
            optional(1, "source", "string"),
            optional(2, "batch_size", "uint32"),
            optional(3, "shuffle", "bool", "false"),
        ),
    ),
    Message(
        "HDF5OutputParameter",
        fields=(optional(1, "file_name", "string"),),
    ),
    Message(
        "MemoryDataParameter",
        fields=(
            optional(1, "batch_size", "uint32"),
            optional(2, "channels", "uint32"),
            optional(3, "height", "uint32"),
            optional(4, "width", "uint32"),
        ),
    ),
    Message(
        "DummyDataParameter",
        fields=(
            repeated(1, "data_filler", "FillerParameter"),
            repeated(2, "num", "uint32"),
            repeated(3, "channels", "uint32"),
            repeated(4, "height", "uint32"),
            repeated(5, "width", "uint32"),
            repeated(6, "shape", "BlobShape"),
        ),
    ),
)
