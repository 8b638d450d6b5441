"""Cases of prior boxes and of what a detector found."""

from __future__ import annotations

import numpy as np

from mocha.ops import Array, BoxCode, DetectionOutput, PriorBox, Shape
from mocha.testing.case import Case, Maker, between, fixed

_VARIANCES = (0.1, 0.1, 0.2, 0.2)


def _priors(count: int) -> Maker:
    """Boxes in a row, which overlap their neighbours."""

    def make(rng: np.random.Generator) -> Array:
        left = np.arange(count) / count
        boxes = np.stack([left, left, left + 2 / count, left + 1.5 / count], axis=1)
        return np.stack([boxes.reshape(-1), np.tile(_VARIANCES, count)])[None]

    return make


def _apart(*shape: int) -> Maker:
    """Scores in (0, 1) that are far enough from each other to keep their order when they are rounded."""
    return lambda rng: ((rng.permutation(int(np.prod(shape))) + 0.5) / np.prod(shape)).reshape(shape)


def _found(about: str, op: DetectionOutput, images: int = 2, priors: int = 12) -> Case:
    boxes = 1 if op.share_location else op.classes
    loc: Shape = (images, 4 * priors * boxes)
    return Case(about, op, (between(-1, 1, *loc), _apart(images, priors * op.classes), _priors(priors)))


_SSD = DetectionOutput(4, 5, 0.3, 0.4, code=BoxCode.CENTER_SIZE)

CASES: list[Case] = [
    Case("squares", PriorBox(3, 4, (30, 50), (10.0,)), ()),
    Case("all kinds", PriorBox(2, 3, (64, 48), (10.0, 20.0), (15.0, 40.0), (2.0, 3.0), variances=_VARIANCES), ()),
    Case("not flipped, clipped, steps", PriorBox(2, 2, (20, 20), (12.0,), (), (0.5, 1.0, 0.5), False, True, (0.1,),
                                                 (8.0, 6.0), 0.25), ()),
    Case("float64", PriorBox(1, 1, (3, 7), (1.0,), dtype="float64"), ()),
    _found("by centre and size", _SSD),
    _found("by corners", DetectionOutput(3, 6, 0.2, 0.3)),
    _found("by corners and size", DetectionOutput(3, 6, 0.2, 0.3, code=BoxCode.CORNER_SIZE)),
    _found("boxes of each class", DetectionOutput(3, 7, 0.2, 0.45, share_location=False)),
    _found("few are sifted, none is background", DetectionOutput(2, 3, 0.1, 0.6, 4, 0.9, background=-1)),
    _found("variances encoded", DetectionOutput(2, 20, variance_encoded=True, background=1)),
    _found("nothing is found", DetectionOutput(2, 3, 2.0)),
    _found("no images", DetectionOutput(2, 3), images=0),
    Case("equal scores", DetectionOutput(3, 2, 0.0, 0.4),
         (fixed([[0.0] * 12]), fixed([[0.5] * 9]), _priors(3))),
]  # fmt: skip
"""The cases."""
