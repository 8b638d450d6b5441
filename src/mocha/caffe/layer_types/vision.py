"""Layers of forks: sizes of images, regions, and boxes of detectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha import ops
from mocha.caffe.layer_types.base import CaffeLayer
from mocha.graph import Graph, Value
from mocha.ops import Array, Shape


class Interp(CaffeLayer):
    """DeepLab's: bilinear interpolation to another size, corners kept in place."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (1, 2)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """Padding or cropping, then one op."""
        p, x = self.about.interp_param, inputs[0]
        if len(x.shape) != 4 or p.pad_beg > 0 or p.pad_end > 0:
            self.misfit(
                f"the bottom is {x.spec}, pad_beg {p.pad_beg}, pad_end {p.pad_end}; expected (N, C, H, W) and <= 0"
            )
        size = tuple(n + p.pad_beg + p.pad_end for n in x.shape[2:])
        if size != x.shape[2:]:
            x = g(ops.Window((0, 0, -p.pad_beg, -p.pad_beg), (*x.shape[:2], *size)), x)
        out = self._size(size, inputs)
        return [g(ops.ResizeBilinear(*out), x)]

    def _size(self, size: Shape, inputs: Sequence[Value]) -> Shape:
        p = self.about.interp_param
        if len(inputs) > 1:
            return inputs[1].shape[2:]
        if p.HasField("shrink_factor"):
            if p.shrink_factor < 1:
                self.refuse(f"shrink_factor is {p.shrink_factor}; expected a number >= 1")
            size = tuple((n - 1) // p.shrink_factor + 1 for n in size)
        if p.HasField("zoom_factor"):
            if p.zoom_factor < 1:
                self.refuse(f"zoom_factor is {p.zoom_factor}; expected a number >= 1")
            return tuple(n + (n - 1) * (p.zoom_factor - 1) for n in size)
        if p.HasField("height") and p.HasField("width"):
            return p.height, p.width
        if not p.HasField("shrink_factor"):
            self.refuse("the new size is missing; expected height and width, a factor, or a second bottom")
        return size


class Upsample(CaffeLayer):
    """Each pixel repeated; or, with SegNet's second bottom, put to where max pooling took it from."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (1, 2)
    wants_gradient: ClassVar[tuple[int, ...] | None] = (0,)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        p, x = self.about.upsample_param, inputs[0]
        down = p.scale_h if p.HasField("scale_h") else p.scale
        across = p.scale_w if p.HasField("scale_w") else p.scale
        if min(down, across) < 1 or len(x.shape) != 4:
            self.misfit(f"the bottom is {x.spec}, the scale {down} x {across}; expected (N, C, H, W) and numbers >= 1")
        if len(inputs) == 1:
            return [g(ops.UpsampleNearest(down, across), x)]
        # a pooling that rounds up may have had a last window of one cell
        height = p.upsample_h if p.HasField("upsample_h") else down * x.shape[2] - int(p.pad_out_h)
        width = p.upsample_w if p.HasField("upsample_w") else across * x.shape[3] - int(p.pad_out_w)
        return [g(ops.Unpool(height, width), x, inputs[1])]


class ROIPooling(CaffeLayer):
    """Fast R-CNN's: the maximum of each bin of each region."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (2, 2)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        p = self.about.roi_pooling_param
        if p.pooled_h < 1 or p.pooled_w < 1:
            self.refuse(f"pooled_h is {p.pooled_h}, pooled_w {p.pooled_w}; expected numbers >= 1")
        return [g(ops.RoiPooling(p.pooled_h, p.pooled_w, p.spatial_scale), *inputs)]


class PriorBox(CaffeLayer):
    """SSD's: the boxes that predictions are relative to, for each cell of a map; bottoms: the map, the image."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (2, 2)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """A constant: only shapes count."""
        p, (cells, image) = self.about.prior_box_param, inputs
        if len(cells.shape) != 4 or len(image.shape) != 4:
            self.misfit(f"bottoms are {cells.spec} and {image.spec}; expected twice (N, C, H, W)")
        height = p.img_h if p.HasField("img_h") else p.img_size if p.HasField("img_size") else image.shape[2]
        width = p.img_w if p.HasField("img_w") else p.img_size if p.HasField("img_size") else image.shape[3]
        down = p.step_h if p.HasField("step_h") else p.step
        across = p.step_w if p.HasField("step_w") else p.step
        op = ops.PriorBox(
            cells.shape[2],
            cells.shape[3],
            (height, width),
            tuple(p.min_size),
            tuple(p.max_size),
            tuple(p.aspect_ratio),
            p.flip,
            p.clip,
            tuple(p.variance) or (0.1,),
            (down, across),
            p.offset,
            cells.dtype.name,
        )
        return [g(op)]


class DetectionOutput(CaffeLayer):
    """SSD's: predictions become a list of boxes: image, class, score, x1, y1, x2, y2."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (3, None)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op, with room for all that may be kept."""
        p = self.about.detection_output_param
        if p.num_classes < 1:
            self.refuse(f"num_classes is {p.num_classes}; expected a number >= 1")
        loc, conf, priors = inputs[:3]
        boxes = priors.shape[2] // 4 if len(priors.shape) > 2 else 0
        nms = p.nms_param
        sifted = min(nms.top_k, boxes) if nms.top_k > 0 else boxes
        most = p.keep_top_k if p.keep_top_k > 0 else sifted * p.num_classes
        code = {1: ops.BoxCode.CORNER, 2: ops.BoxCode.CENTER_SIZE, 3: ops.BoxCode.CORNER_SIZE}[p.code_type]
        op = ops.DetectionOutput(
            p.num_classes,
            max(most, 1),
            p.confidence_threshold if p.HasField("confidence_threshold") else -math.inf,
            nms.nms_threshold,
            nms.top_k if nms.top_k > 0 else -1,
            nms.eta,
            p.share_location,
            p.background_label_id,
            code,
            p.variance_encoded_in_target,
        )
        return [g(op, loc, conf, priors)]

    def shown(self, array: Array) -> Array:
        """The rows that hold something; one of an image number and -1 for each image where none does, as in SSD."""
        found = array[:, :, array[0, 0, :, 0] >= 0]
        if found.shape[2]:
            return found
        images = max(1, array.shape[2] // max(1, self.about.detection_output_param.keep_top_k))
        empty = np.full((1, 1, images, 7), -1, array.dtype)
        empty[0, 0, :, 0] = np.arange(images)
        return empty
