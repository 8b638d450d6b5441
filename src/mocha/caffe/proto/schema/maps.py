"""Layers that work element by element, or that only move elements."""

from mocha.caffe.proto.schema.records import ENGINE, Enum, Message, optional, repeated, required

MESSAGES = (
    Message(
        "ReLUParameter",
        enums=(ENGINE,),
        fields=(
            optional(1, "negative_slope", "float", "0"),
            optional(2, "engine", "Engine", "DEFAULT"),
        ),
    ),
    Message(
        "PReLUParameter",
        fields=(
            optional(1, "filler", "FillerParameter"),
            optional(2, "channel_shared", "bool", "false"),
        ),
    ),
    Message(
        "ELUParameter",
        fields=(optional(1, "alpha", "float", "1"),),
    ),
    Message(
        "SigmoidParameter",
        enums=(ENGINE,),
        fields=(optional(1, "engine", "Engine", "DEFAULT"),),
    ),
    Message(
        "TanHParameter",
        enums=(ENGINE,),
        fields=(optional(1, "engine", "Engine", "DEFAULT"),),
    ),
    Message(
        "SwishParameter",
        fields=(optional(1, "beta", "float", "1"),),
    ),
    Message(
        "PowerParameter",
        fields=(
            optional(1, "power", "float", "1"),
            optional(2, "scale", "float", "1"),
            optional(3, "shift", "float", "0"),
        ),
    ),
    Message(
        "ExpParameter",
        fields=(
            optional(1, "base", "float", "-1"),
            optional(2, "scale", "float", "1"),
            optional(3, "shift", "float", "0"),
        ),
    ),
    Message(
        "LogParameter",
        fields=(
            optional(1, "base", "float", "-1"),
            optional(2, "scale", "float", "1"),
            optional(3, "shift", "float", "0"),
        ),
    ),
    Message(
        "ThresholdParameter",
        fields=(optional(1, "threshold", "float", "0"),),
    ),
    Message(
        "ClipParameter",
        fields=(
            required(1, "min", "float"),
            required(2, "max", "float"),
        ),
    ),
    Message(
        "DropoutParameter",
        fields=(optional(1, "dropout_ratio", "float", "0.5"),),
    ),
    Message(
        "EltwiseParameter",
        enums=(Enum("EltwiseOp", "PROD=0 SUM=1 MAX=2"),),
        fields=(
            optional(1, "operation", "EltwiseOp", "SUM"),
            repeated(2, "coeff", "float"),
            optional(3, "stable_prod_grad", "bool", "true"),
        ),
    ),
    Message(
        "ConcatParameter",
        fields=(
            optional(1, "concat_dim", "uint32", "1"),
            optional(2, "axis", "int32", "1"),
        ),
    ),
    Message(
        "SliceParameter",
        fields=(
            optional(1, "slice_dim", "uint32", "1"),
            repeated(2, "slice_point", "uint32"),
            optional(3, "axis", "int32", "1"),
        ),
    ),
    Message(
        "FlattenParameter",
        fields=(
            optional(1, "axis", "int32", "1"),
            optional(2, "end_axis", "int32", "-1"),
        ),
    ),
    Message(
        "ReshapeParameter",
        fields=(
            optional(1, "shape", "BlobShape"),
            optional(2, "axis", "int32", "0"),
            optional(3, "num_axes", "int32", "-1"),
        ),
    ),
    Message(
        "CropParameter",
        fields=(
            optional(1, "axis", "int32", "2"),
            repeated(2, "offset", "uint32"),
        ),
    ),
    Message(
        "TileParameter",
        fields=(
            optional(1, "axis", "int32", "1"),
            optional(2, "tiles", "int32"),
        ),
    ),
    Message(
        "ReductionParameter",
        enums=(Enum("ReductionOp", "SUM=1 ASUM=2 SUMSQ=3 MEAN=4"),),
        fields=(
            optional(1, "operation", "ReductionOp", "SUM"),
            optional(2, "axis", "int32", "0"),
            optional(3, "coeff", "float", "1"),
        ),
    ),
    Message(
        "ArgMaxParameter",
        fields=(
            optional(1, "out_max_val", "bool", "false"),
            optional(2, "top_k", "uint32", "1"),
            optional(3, "axis", "int32"),
        ),
    ),
    Message(
        "PythonParameter",
        fields=(
            optional(1, "module", "string"),
            optional(2, "layer", "string"),
            optional(3, "param_str", "string", ""),
            optional(4, "share_in_parallel", "bool", "false"),
        ),
    ),
)
