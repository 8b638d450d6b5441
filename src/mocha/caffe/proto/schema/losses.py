"""Softmax, losses and accuracy."""

from mocha.caffe.proto.schema.records import ENGINE, Enum, Message, optional

MESSAGES = (
    Message(
        "SoftmaxParameter",
        enums=(ENGINE,),
        fields=(
            optional(1, "engine", "Engine", "DEFAULT"),
            optional(2, "axis", "int32", "1"),
        ),
    ),
    Message(
        "LossParameter",
        enums=(Enum("NormalizationMode", "FULL=0 VALID=1 BATCH_SIZE=2 NONE=3"),),
        fields=(
            optional(1, "ignore_label", "int32"),
            optional(2, "normalize", "bool"),
            optional(3, "normalization", "NormalizationMode", "VALID"),
        ),
    ),
    Message(
        "InfogainLossParameter",
        fields=(
            optional(1, "source", "string"),
            optional(2, "axis", "int32", "1"),
        ),
    ),
    Message(
        "HingeLossParameter",
        enums=(Enum("Norm", "L1=1 L2=2"),),
        fields=(optional(1, "norm", "Norm", "L1"),),
    ),
    Message(
        "ContrastiveLossParameter",
        fields=(
            optional(1, "margin", "float", "1"),
            optional(2, "legacy_version", "bool", "false"),
        ),
    ),
    Message(
        "AccuracyParameter",
        fields=(
            optional(1, "top_k", "uint32", "1"),
            optional(2, "axis", "int32", "1"),
            optional(3, "ignore_label", "int32"),
        ),
    ),
)
