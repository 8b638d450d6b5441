"""What a detector found: predicted boxes decoded, sifted and listed (Liu et al., "SSD", ECCV 2016)."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Sequence

import numpy as np

from mocha.errors import ConfigError, ShapeError
from mocha.ops.base import Array, Op, Spec, check_float


class BoxCode(enum.Enum):
    """How a predicted box (a, b, c, d) is relative to its prior (x1, y1, x2, y2), of width w and height h."""

    CORNER = "corner"
    """x1 + a, y1 + b, x2 + c, y2 + d."""
    CENTER_SIZE = "center_size"
    """The centre moved by (a w, b h), the sides times exp c and exp d."""
    CORNER_SIZE = "corner_size"
    """x1 + a w, y1 + b h, x2 + c w, y2 + d h."""


def decode_boxes(code: BoxCode, predicted: Array, priors: Array) -> Array:
    """The boxes that predictions, already multiplied by the variances, stand for.

    Args:
        code: how they are relative to the priors.
        predicted: (..., 4).
        priors: x1, y1, x2, y2 of each, of a shape that broadcasts.

    Returns:
        x1, y1, x2, y2: (..., 4).
    """
    if code is BoxCode.CORNER:
        return np.asarray(priors + predicted)
    sides = priors[..., 2:] - priors[..., :2]
    if code is BoxCode.CORNER_SIZE:
        return np.asarray(priors + predicted * np.concatenate([sides, sides], axis=-1))
    centres = predicted[..., :2] * sides + (priors[..., :2] + priors[..., 2:]) / 2
    halves = np.exp(predicted[..., 2:]) * sides / 2
    return np.concatenate([centres - halves, centres + halves], axis=-1)


def overlaps(box: Array, boxes: Array) -> Array:
    """The area that a box shares with each of others, divided by that of both together; 0 where they share none.

    Args:
        box: x1, y1, x2, y2. One that ends before it begins has no area.
        boxes: (n, 4).
    """

    def area(some: Array) -> Array:
        return np.asarray(np.maximum(some[..., 2:] - some[..., :2], 0).prod(axis=-1))

    shared = area(np.concatenate([np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])], axis=1))
    joined = area(box) + area(boxes) - shared
    return np.where(shared > 0, shared / np.where(shared > 0, joined, 1), shared)


def best_boxes(
    boxes: Array, scores: Array, *, above: float, overlap: float, top_k: int = -1, eta: float = 1.0
) -> Array:
    """Non-maximum suppression: the indices of the boxes that are kept, best score first.

    The boxes are gone through by score, of equal ones the earlier first. One is kept if it overlaps none that was kept
    before by more than the limit. After each that is kept, a limit above 0.5 is multiplied by `eta`, if that is
    below 1.

    Args:
        boxes: (n, 4).
        scores: (n,).
        above: only boxes with a larger score take part. NaN is not larger.
        overlap: the limit.
        top_k: at most so many boxes take part, the best ones; -1 for all.
        eta: see above.
    """
    able = np.flatnonzero(scores > above)
    order = able[np.argsort(-scores[able], kind="stable")]
    if top_k > -1:
        order = order[:top_k]
    kept: list[int] = []
    for index in order:
        if (overlaps(boxes[index], boxes[kept]) <= overlap).all():
            kept.append(int(index))
            if eta < 1 and overlap > 0.5:
                overlap *= eta
    return np.array(kept, np.int64)


@dataclasses.dataclass(frozen=True)
class DetectionOutput(Op):
    """A detector's predictions become a list of boxes: image, class, score, x1, y1, x2, y2. No gradient.

    Shapes: loc (N, 4 P L), conf (N, P classes), each perhaps with more axes of size 1, priors (1, 2, 4 P) as `PriorBox`
    makes them -> (1, 1, N keep_top_k, 7). L is 1 if all classes share their boxes, else their number; loc counts prior,
    class, number, conf counts prior, class. What was found comes first; the other rows hold -1, the number of no image.
    `detections` gives the same without those rows.

    Boxes are decoded from their priors. For each image and each class but the background, `best_boxes` sifts them. If
    an image then has more than `keep_top_k`, those of the best scores stay; of equal ones those of the lower class,
    and the earlier. Rows are in the order of images, then classes, then falling scores.

    Args:
        classes: the number of classes, the background included, >= 1.
        keep_top_k: boxes of an image, >= 1; -1 for all, which only `detections` can give.
        confidence_threshold: only boxes with a larger score count.
        nms_threshold: by how much boxes of one class may overlap, see `best_boxes`.
        top_k: how many boxes of each class and image are sifted; -1 for all.
        eta: see `best_boxes`; in (0, 1].
        share_location: whether the classes share their boxes.
        background: the class that is none; -1 for none such.
        code: how boxes are decoded.
        variance_encoded: whether predictions are multiplied by the variances already.
    """

    classes: int
    keep_top_k: int = -1
    confidence_threshold: float = -math.inf
    nms_threshold: float = 0.3
    top_k: int = -1
    eta: float = 1.0
    share_location: bool = True
    background: int = 0
    code: BoxCode = BoxCode.CORNER
    variance_encoded: bool = False

    def __post_init__(self) -> None:
        if self.classes < 1 or self.nms_threshold < 0 or not 0 < self.eta <= 1:
            raise ConfigError(f"{self}: expected at least one class, an nms_threshold >= 0, and 0 < eta <= 1.")
        if min(self.keep_top_k, self.top_k) < -1:
            raise ConfigError(f"{self}: expected keep_top_k and top_k of at least 0, or -1 for all.")

    def infer(self, loc: Spec, conf: Spec, priors: Spec) -> Spec:
        """(N, 4 P L), (N, P classes), (1, 2, 4 P) -> (1, 1, N keep_top_k, 7)."""
        self._check(loc, conf, priors)
        if self.keep_top_k < 1:
            raise ShapeError(
                f"{self.name}: keep_top_k is {self.keep_top_k}; expected at least 1, for a net must know the number of "
                "rows beforehand."
            )
        return Spec((1, 1, loc.shape[0] * self.keep_top_k, 7), loc.dtype)

    def _check(self, loc: Spec, conf: Spec, priors: Spec) -> None:
        check_float(self, loc)
        if loc.dtype != conf.dtype or loc.dtype != priors.dtype:
            raise ShapeError(f"{self.name}: received {loc}, {conf} and {priors}; expected one type.")
        if priors.ndim < 2 or priors.shape[:2] != (1, 2) or priors.size % 8:
            raise ShapeError(f"{self.name}: the priors are {priors}; expected (1, 2, 4 P).")
        count = priors.size // 8
        for what, spec, each in (("loc", loc, 4 * self._boxes), ("conf", conf, self.classes)):
            if spec.ndim < 2 or spec.size != loc.shape[0] * count * each or spec.shape[0] != loc.shape[0]:
                raise ShapeError(
                    f"{self.name}: {what} is {spec}; expected {each} numbers for each image and each of {count} priors."
                )

    @property
    def _boxes(self) -> int:
        """Boxes of a prior."""
        return 1 if self.share_location else self.classes

    def detections(self, loc: Array, conf: Array, priors: Array) -> Array:
        """All that was found: (1, 1, found, 7), perhaps no rows at all.

        Raises:
            ShapeError: the arrays do not fit each other or the classes.
        """
        self._check(Spec.of(loc), Spec.of(conf), Spec.of(priors))
        count, images = priors.size // 8, loc.shape[0]
        boxes, variances = priors.reshape(2, 1, count, 1, 4)
        predicted = loc.reshape(images, count, self._boxes, 4)
        if not self.variance_encoded:
            predicted = predicted * variances
        decoded = decode_boxes(self.code, predicted, boxes)
        scores = conf.reshape(images, count, self.classes)
        rows = [self._image(n, decoded[n], scores[n]) for n in range(images)]
        return np.concatenate([np.empty((0, 7), loc.dtype), *rows])[None, None]

    def _image(self, number: int, boxes: Array, scores: Array) -> Array:
        """The rows of one image: (found, 7)."""
        rows = [np.empty((0, 7), boxes.dtype)]
        for label in range(self.classes):
            if label == self.background:
                continue
            own, score = boxes[:, 0 if self.share_location else label], scores[:, label]
            kept = best_boxes(
                own,
                score,
                above=self.confidence_threshold,
                overlap=self.nms_threshold,
                top_k=self.top_k,
                eta=self.eta,
            )
            head = np.broadcast_to(np.array([number, label], boxes.dtype), (kept.size, 2))
            rows.append(np.concatenate([head, score[kept, None], own[kept]], axis=1))
        found = np.concatenate(rows)
        if -1 < self.keep_top_k < len(found):
            best = np.argsort(-found[:, 2], kind="stable")[: self.keep_top_k]
            found = found[np.sort(best)]
        return found

    def forward(self, loc: Array, conf: Array, priors: Array) -> Array:
        """What was found, filled up with -1."""
        found = self.detections(loc, conf, priors)[0, 0]
        y = np.full((1, 1, loc.shape[0] * self.keep_top_k, 7), -1, loc.dtype)
        y[0, 0, : len(found)] = found
        return y

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """About 20 operations a predicted box; what sifting takes depends on the data."""
        return 5 * inputs[0].size + inputs[1].size
