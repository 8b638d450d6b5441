"""Layers with weights, and those that look through windows."""

from mocha.caffe.proto.schema.records import ENGINE, POOL_METHOD, Enum, Message, optional, repeated

MESSAGES = (
    Message(
        "ConvolutionParameter",
        enums=(ENGINE,),
        fields=(
            optional(1, "num_output", "uint32"),
            optional(2, "bias_term", "bool", "true"),
            repeated(3, "pad", "uint32"),
            repeated(4, "kernel_size", "uint32"),
            optional(5, "group", "uint32", "1"),
            repeated(6, "stride", "uint32"),
            optional(7, "weight_filler", "FillerParameter"),
            optional(8, "bias_filler", "FillerParameter"),
            optional(9, "pad_h", "uint32", "0"),
            optional(10, "pad_w", "uint32", "0"),
            optional(11, "kernel_h", "uint32"),
            optional(12, "kernel_w", "uint32"),
            optional(13, "stride_h", "uint32"),
            optional(14, "stride_w", "uint32"),
            optional(15, "engine", "Engine", "DEFAULT"),
            optional(16, "axis", "int32", "1"),
            optional(17, "force_nd_im2col", "bool", "false"),
            repeated(18, "dilation", "uint32"),
        ),
    ),
    Message(
        "PoolingParameter",
        enums=(
            POOL_METHOD,
            ENGINE,
            Enum("RoundMode", "CEIL=0 FLOOR=1"),
        ),
        fields=(
            optional(1, "pool", "PoolMethod", "MAX"),
            optional(2, "kernel_size", "uint32"),
            optional(3, "stride", "uint32", "1"),
            optional(4, "pad", "uint32", "0"),
            optional(5, "kernel_h", "uint32"),
            optional(6, "kernel_w", "uint32"),
            optional(7, "stride_h", "uint32"),
            optional(8, "stride_w", "uint32"),
            optional(9, "pad_h", "uint32", "0"),
            optional(10, "pad_w", "uint32", "0"),
            optional(11, "engine", "Engine", "DEFAULT"),
            optional(12, "global_pooling", "bool", "false"),
            optional(13, "round_mode", "RoundMode", "CEIL"),
        ),
    ),
    Message(
        "SPPParameter",
        enums=(
            POOL_METHOD,
            ENGINE,
        ),
        fields=(
            optional(1, "pyramid_height", "uint32"),
            optional(2, "pool", "PoolMethod", "MAX"),
            optional(6, "engine", "Engine", "DEFAULT"),
        ),
    ),
    Message(
        "LRNParameter",
        enums=(
            Enum("NormRegion", "ACROSS_CHANNELS=0 WITHIN_CHANNEL=1"),
            ENGINE,
        ),
        fields=(
            optional(1, "local_size", "uint32", "5"),
            optional(2, "alpha", "float", "1"),
            optional(3, "beta", "float", "0.75"),
            optional(4, "norm_region", "NormRegion", "ACROSS_CHANNELS"),
            optional(5, "k", "float", "1"),
            optional(6, "engine", "Engine", "DEFAULT"),
        ),
    ),
    Message(
        "InnerProductParameter",
        fields=(
            optional(1, "num_output", "uint32"),
            optional(2, "bias_term", "bool", "true"),
            optional(3, "weight_filler", "FillerParameter"),
            optional(4, "bias_filler", "FillerParameter"),
            optional(5, "axis", "int32", "1"),
            optional(6, "transpose", "bool", "false"),
        ),
    ),
    Message(
        "EmbedParameter",
        fields=(
            optional(1, "num_output", "uint32"),
            optional(2, "input_dim", "uint32"),
            optional(3, "bias_term", "bool", "true"),
            optional(4, "weight_filler", "FillerParameter"),
            optional(5, "bias_filler", "FillerParameter"),
        ),
    ),
    Message(
        "BatchNormParameter",
        fields=(
            optional(1, "use_global_stats", "bool"),
            optional(2, "moving_average_fraction", "float", "0.999"),
            optional(3, "eps", "float", "1e-05"),
        ),
    ),
    Message(
        "ScaleParameter",
        fields=(
            optional(1, "axis", "int32", "1"),
            optional(2, "num_axes", "int32", "1"),
            optional(3, "filler", "FillerParameter"),
            optional(4, "bias_term", "bool", "false"),
            optional(5, "bias_filler", "FillerParameter"),
        ),
    ),
    Message(
        "BiasParameter",
        fields=(
            optional(1, "axis", "int32", "1"),
            optional(2, "num_axes", "int32", "1"),
            optional(3, "filler", "FillerParameter"),
        ),
    ),
    Message(
        "MVNParameter",
        fields=(
            optional(1, "normalize_variance", "bool", "true"),
            optional(2, "across_channels", "bool", "false"),
            optional(3, "eps", "float", "1e-09"),
        ),
    ),
    Message(
        "RecurrentParameter",
        fields=(
            optional(1, "num_output", "uint32", "0"),
            optional(2, "weight_filler", "FillerParameter"),
            optional(3, "bias_filler", "FillerParameter"),
            optional(4, "debug_info", "bool", "false"),
            optional(5, "expose_hidden", "bool", "false"),
        ),
    ),
    Message(
        "ParameterParameter",
        fields=(optional(1, "shape", "BlobShape"),),
    ),
)
