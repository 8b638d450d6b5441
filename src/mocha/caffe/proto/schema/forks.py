"""Messages that Caffe never had but well-known forks do: SSD, Fast R-CNN, SegNet, DeepLab, OpenCV and NVCaffe.

Names and numbers are those of the best-known fork. Two numbers are not, as Caffe itself has given them away since:
``interp_param`` (143 in DeepLab) is 2143 here, as some collections of forks have it, and ``upsample_param`` is 149, as
in forks for YOLO. In the text format, where nets are written, numbers play no part. In the binary format another fork
may use a number for something else: `mocha.caffe.wire` passes over what does not fit.
"""

from mocha.caffe.proto.schema.records import Enum, Field, Message, optional, repeated

MESSAGES = (
    Message("PermuteParameter", fields=(repeated(1, "order", "uint32"),)),
    Message(
        "NormalizeParameter",
        fields=(
            optional(1, "across_spatial", "bool", "true"),
            optional(2, "scale_filler", "FillerParameter"),
            optional(3, "channel_shared", "bool", "true"),
            optional(4, "eps", "float", "1e-10"),
        ),
    ),
    Message(
        "PriorBoxParameter",
        enums=(Enum("CodeType", "CORNER=1 CENTER_SIZE=2 CORNER_SIZE=3"),),
        fields=(
            repeated(1, "min_size", "float"),
            repeated(2, "max_size", "float"),
            repeated(3, "aspect_ratio", "float"),
            optional(4, "flip", "bool", "true"),
            optional(5, "clip", "bool", "false"),
            repeated(6, "variance", "float"),
            optional(7, "img_size", "uint32"),
            optional(8, "img_h", "uint32"),
            optional(9, "img_w", "uint32"),
            optional(10, "step", "float"),
            optional(11, "step_h", "float"),
            optional(12, "step_w", "float"),
            optional(13, "offset", "float", "0.5"),
        ),
    ),
    Message(
        "NonMaximumSuppressionParameter",
        fields=(
            optional(1, "nms_threshold", "float", "0.3"),
            optional(2, "top_k", "int32"),
            optional(3, "eta", "float", "1"),
        ),
    ),
    Message(
        "SaveOutputParameter",
        fields=(
            optional(1, "output_directory", "string"),
            optional(2, "output_name_prefix", "string"),
            optional(3, "output_format", "string"),
            optional(4, "label_map_file", "string"),
            optional(5, "name_size_file", "string"),
            optional(6, "num_test_image", "uint32"),
        ),
    ),
    Message(
        "DetectionOutputParameter",
        fields=(
            optional(1, "num_classes", "uint32"),
            optional(2, "share_location", "bool", "true"),
            optional(3, "background_label_id", "int32", "0"),
            optional(4, "nms_param", "NonMaximumSuppressionParameter"),
            optional(5, "save_output_param", "SaveOutputParameter"),
            optional(6, "code_type", "PriorBoxParameter.CodeType", "CORNER"),
            optional(7, "keep_top_k", "int32", "-1"),
            optional(8, "variance_encoded_in_target", "bool", "false"),
            optional(9, "confidence_threshold", "float"),
            optional(10, "visualize", "bool", "false"),
            optional(11, "visualize_threshold", "float"),
            optional(12, "save_file", "string"),
        ),
    ),
    Message(
        "InterpParameter",
        fields=(
            optional(1, "height", "int32", "0"),
            optional(2, "width", "int32", "0"),
            optional(3, "zoom_factor", "int32", "1"),
            optional(4, "shrink_factor", "int32", "1"),
            optional(5, "pad_beg", "int32", "0"),
            optional(6, "pad_end", "int32", "0"),
        ),
    ),
    Message(
        "UpsampleParameter",
        fields=(
            optional(1, "scale", "uint32", "2"),
            optional(2, "scale_h", "uint32"),
            optional(3, "scale_w", "uint32"),
            optional(4, "pad_out_h", "bool", "false"),
            optional(5, "pad_out_w", "bool", "false"),
            optional(6, "upsample_h", "uint32"),
            optional(7, "upsample_w", "uint32"),
        ),
    ),
    Message(
        "ROIPoolingParameter",
        fields=(
            optional(1, "pooled_h", "uint32", "0"),
            optional(2, "pooled_w", "uint32", "0"),
            optional(3, "spatial_scale", "float", "1"),
        ),
    ),
)

FIELDS: dict[str, tuple[Field, ...]] = {
    "LayerParameter": (
        optional(149, "upsample_param", "UpsampleParameter"),
        optional(202, "permute_param", "PermuteParameter"),
        optional(203, "prior_box_param", "PriorBoxParameter"),
        optional(204, "detection_output_param", "DetectionOutputParameter"),
        optional(206, "norm_param", "NormalizeParameter"),
        optional(2143, "interp_param", "InterpParameter"),
        optional(8266711, "roi_pooling_param", "ROIPoolingParameter"),
    ),
    # Values of another element type than float32, as bytes. OpenCV writes nets of half precision so.
    "BlobProto": (
        optional(10, "raw_data_type", "Type"),
        optional(11, "raw_diff_type", "Type"),
        optional(12, "raw_data", "bytes"),
        optional(13, "raw_diff", "bytes"),
    ),
}
"""What forks add to messages of Caffe."""

ENUMS = (Enum("Type", "DOUBLE=0 FLOAT=1 FLOAT16=2 INT=3 UINT=4"),)
