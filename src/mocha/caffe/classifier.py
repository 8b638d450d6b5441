"""Classifying whole images, and windows of them, with a trained net: pycaffe's `Classifier` and `Detector`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.caffe import io
from mocha.caffe.net import TEST, Net
from mocha.errors import ConfigError, ShapeError
from mocha.ops import Array

Windows = Iterable[tuple[str | Path, npt.ArrayLike]]


class _Prepared(Net):
    """A net whose images are prepared as the training's were.

    Args:
        model_file: the net's ``.prototxt``.
        pretrained_file: its weights.
        mean: what is subtracted: one number a channel, or an image.
        input_scale: what images are multiplied by, after the mean was subtracted.
        raw_scale: what images are multiplied by before: 255 for nets trained on bytes.
        channel_swap: order of the channels: (2, 1, 0) for nets trained on BGR.
    """

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path,
        *,
        mean: Array | None,
        input_scale: float | None,
        raw_scale: float | None,
        channel_swap: Sequence[int] | None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        if not self.inputs:
            raise ConfigError(f"{model_file}: the net has no Input layer to put images into.")
        name = self.inputs[0]
        self.transformer = io.Transformer({name: self.blobs[name].data.shape})
        self.transformer.set_transpose(name, (2, 0, 1))
        if mean is not None:
            self.transformer.set_mean(name, mean)
        if input_scale is not None:
            self.transformer.set_input_scale(name, input_scale)
        if raw_scale is not None:
            self.transformer.set_raw_scale(name, raw_scale)
        if channel_swap is not None:
            self.transformer.set_channel_swap(name, channel_swap)

    def _predictions(self, images: Sequence[Array]) -> Array:
        """The first output for each image, which has the net's size."""
        name = self.inputs[0]
        prepared = np.stack([self.transformer.preprocess(name, image) for image in images])
        return self.forward_all(None, **{name: prepared})[self.outputs[0]]


class Classifier(_Prepared):
    """A net that classifies images.

    Args:
        model_file: the net's ``.prototxt``.
        pretrained_file: its weights.
        image_dims: (height, width) that images are resized to before they are cropped; the net's own unless told.
        mean: what is subtracted: one number a channel, or an image.
        input_scale: what images are multiplied by, after the mean was subtracted.
        raw_scale: what images are multiplied by before: 255 for nets trained on bytes.
        channel_swap: order of the channels: (2, 1, 0) for nets trained on BGR.
    """

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path,
        image_dims: Sequence[int] | None = None,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            model_file,
            pretrained_file,
            mean=mean,
            input_scale=input_scale,
            raw_scale=raw_scale,
            channel_swap=channel_swap,
        )
        self.crop_dims = np.array(self.blobs[self.inputs[0]].data.shape[2:])
        self.image_dims = tuple(int(n) for n in (self.crop_dims if image_dims is None else image_dims))
        size = tuple(int(n) for n in self.crop_dims)
        if len(self.image_dims) != 2 or any(n < m for n, m in zip(self.image_dims, size, strict=True)):
            raise ConfigError(f"Classifier: image_dims is {self.image_dims}; expected at least {size}, the net's size.")

    def predict(self, inputs: Sequence[Array], oversample: bool = True) -> Array:
        """The net's first output for images.

        Args:
            inputs: images (H, W, C), numbers from 0 to 1.
            oversample: average over ten crops of each, the corners, the middle, and these mirrored; otherwise only the
                middle is looked at.

        Returns:
            (images, classes).
        """
        if not len(inputs):
            raise ConfigError("there are no images to classify; expected one or more.")
        images = [io.resize_image(image, self.image_dims) for image in inputs]
        size = tuple(int(n) for n in self.crop_dims)
        if oversample:
            crops = io.oversample(images, size)
        else:
            top, left = ((n - m) // 2 for n, m in zip(self.image_dims, size, strict=True))
            crops = np.stack(images)[:, top : top + size[0], left : left + size[1], :]
        found = self._predictions(list(crops))
        return found.reshape(len(images), 10, -1).mean(axis=1) if oversample else found


class Detector(_Prepared):
    """A net that classifies windows of images.

    Args:
        model_file: the net's ``.prototxt``.
        pretrained_file: its weights.
        mean: what is subtracted: one number a channel, or an image.
        input_scale: what images are multiplied by, after the mean was subtracted.
        raw_scale: what images are multiplied by before: 255 for nets trained on bytes.
        channel_swap: order of the channels: (2, 1, 0) for nets trained on BGR.
        context_pad: pixels around a window that the net sees too.
    """

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(
            model_file,
            pretrained_file,
            mean=mean,
            input_scale=input_scale,
            raw_scale=raw_scale,
            channel_swap=channel_swap,
        )
        self.configure_crop(context_pad)

    def configure_crop(self, context_pad: int | None) -> None:
        """How many pixels around each window are seen too; what lies outside the image has the mean's colour."""
        name = self.inputs[0]
        self.crop_dims = np.array(self.blobs[name].data.shape[2:])
        most = (int(self.crop_dims.min()) - 1) // 2
        if not 0 <= int(context_pad or 0) <= most:
            raise ConfigError(
                f"Detector: context_pad is {context_pad}; expected 0 to {most}, of windows that the net sees."
            )
        self.context_pad = int(context_pad or 0)
        if not self.context_pad:
            return
        transpose = self.transformer.transpose.get(name)
        swap = self.transformer.channel_swap.get(name)
        mean = self.transformer.mean.get(name)
        channels = self.blobs[name].data.shape[1]
        colour = np.zeros((*self.crop_dims, channels), np.float32)
        if mean is not None:
            backwards = np.broadcast_to(mean, (channels, *self.crop_dims)).astype(np.float32)
            if swap is not None:
                backwards = backwards[np.argsort(swap)]
            colour = backwards.transpose(np.argsort(transpose)) if transpose is not None else backwards
            raw = self.transformer.raw_scale.get(name)
            colour = colour / raw if raw else colour
        self.crop_mean = np.ascontiguousarray(colour)

    def crop(self, image: Array, window: npt.ArrayLike) -> Array:
        """A window of an image, with its surroundings if they are wanted, at the net's size.

        Args:
            image: (H, W, C).
            window: ymin, xmin, ymax, xmax, in pixels.
        """
        y0, x0, y1, x1 = (round(float(n)) for n in np.asarray(window))
        if not (0 <= y0 < y1 <= image.shape[0] and 0 <= x0 < x1 <= image.shape[1]):
            raise ShapeError(f"window {(y0, x0, y1, x1)}; expected ymin, xmin, ymax, xmax within {image.shape[:2]}.")
        if not self.context_pad:
            return io.resize_image(image[y0:y1, x0:x1], tuple(self.crop_dims))
        size = int(self.crop_dims[0])
        scale = size / (size - 2 * self.context_pad)
        half_h, half_w = (y1 - y0 + 1) / 2, (x1 - x0 + 1) / 2
        middle = y0 + half_h, x0 + half_w
        box = np.round([middle[0] - half_h * scale, middle[1] - half_w * scale,
                        middle[0] + half_h * scale, middle[1] + half_w * scale])  # fmt: skip
        full_h, full_w = box[2] - box[0] + 1, box[3] - box[1] + 1
        scale_h, scale_w = size / full_h, size / full_w
        pad_y, pad_x = round(max(0.0, -box[0]) * scale_h), round(max(0.0, -box[1]) * scale_w)
        clipped = np.clip(box, 0, [image.shape[0], image.shape[1], image.shape[0], image.shape[1]]).astype(int)
        height = min(size - pad_y, round((clipped[2] - clipped[0] + 1) * scale_h))
        width = min(size - pad_x, round((clipped[3] - clipped[1] + 1) * scale_w))
        found = np.array(self.crop_mean)
        piece = image[clipped[0] : clipped[2], clipped[1] : clipped[3]]
        found[pad_y : pad_y + height, pad_x : pad_x + width] = io.resize_image(piece, (height, width))
        return found

    def detect_windows(self, images_windows: Windows) -> list[dict[str, Any]]:
        """Classify windows of image files.

        Args:
            images_windows: pairs of a file and its windows, ymin, xmin, ymax, xmax each.

        Returns:
            for each window a record of `window`, `prediction` and `filename`.
        """
        found, crops = [], []
        for filename, windows in images_windows:
            image = io.load_image(str(filename)).astype(np.float32)
            for window in np.atleast_2d(np.asarray(windows)):
                crops.append(self.crop(image, window))
                found.append({"window": window, "filename": str(filename)})
        if not crops:
            return []
        for record, prediction in zip(found, self._predictions(crops).reshape(len(crops), -1), strict=True):
            record["prediction"] = prediction
        return found
