"""Losses and a measure that hold all scores of a position against its label."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mocha.errors import ConfigError, ShapeError
from mocha.ops.base import Array, Op, Spec, check_axis, check_float
from mocha.ops.labels import check_divisor, check_labels, class_numbers, divide_by
from mocha.ops.loss import LEAST


@dataclasses.dataclass(frozen=True)
class InfogainLoss(Op):
    """loss = -weight / M sum over positions and classes of H[label, c] ln max(p[c], 1e-20), p = softmax(x).

    The second output is the softmax. With H the identity it is `SoftmaxLoss`.

    Shapes: x (..., C, ...), label with one element a position (P of them), H of C C elements, row-major: a row for each
    label -> loss (), probability like x. M is the number of positions that are not ignored, unless `divisor` says
    otherwise. dx = dloss weight / M (p sum of the row of H - the row), also where the logarithm is bounded; labels and
    H have no gradient.

    Positions with the label `ignore` add nothing to the loss, and their gradients are 0.

    Args:
        axis: the axis of the classes.
        weight: factor of the loss.
        ignore: the label of positions that do not count, a class or any other whole number; None for none.
        divisor: what the sum is divided by, one of "positions", "counted", "examples", "one"; see `mocha.ops.labels`.
    """

    axis: int = 1
    weight: float = 1.0
    ignore: int | None = None
    divisor: str = "counted"
    n_aux = 1

    def infer(self, x: Spec, label: Spec, h: Spec) -> tuple[Spec, Spec]:
        """(..., C, ...), (P), (C, C) -> (), (..., C, ...)."""
        check_float(self, x)
        axis = check_axis(self, self.axis, x)
        check_labels(self, x, label, axis)
        check_divisor(self, self.divisor)
        classes = x.shape[axis]
        if h.dtype != x.dtype or h.size != classes * classes:
            raise ShapeError(
                f"{self.name}: the gains are {h}; expected {classes}x{classes} {x.dtype}, because there are {classes} "
                "classes."
            )
        return Spec((), x.dtype), x

    def _gains(self, label: Array, h: Array, classes: int) -> tuple[Array, Array]:
        """The positions that count, and their rows of H: (P), (P, C)."""
        numbers = class_numbers(label, classes, self.ignore).reshape(-1)
        counted = np.flatnonzero(numbers >= 0)
        return counted, h.reshape(classes, classes)[numbers[counted]]

    def _scale(self, x: Array, counted: Array) -> float:
        axis = self.axis % x.ndim
        positions, examples = x.size // x.shape[axis], math.prod(x.shape[:axis])
        return self.weight / divide_by(self.divisor, positions, counted.size, examples)

    def forward(self, x: Array, label: Array, h: Array) -> tuple[Array, Array]:
        """Added up in float64."""
        with np.errstate(invalid="ignore"):
            e = np.exp(x - x.max(axis=self.axis, keepdims=True))
            p = np.asarray(e / e.sum(axis=self.axis, keepdims=True))
        counted, gains = self._gains(label, h, x.shape[self.axis])
        rows = np.moveaxis(p, self.axis, -1).reshape(-1, x.shape[self.axis])[counted]
        terms = gains * np.log(np.maximum(rows, x.dtype.type(LEAST)))
        return np.asarray(-self._scale(x, counted) * terms.sum(dtype=np.float64), x.dtype), p

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Weight / M (p sum of the row - the row), and 0 where labels are ignored."""
        _, label, h = inputs
        moved = np.moveaxis(outputs[1], self.axis, -1)
        rows = moved.reshape(-1, moved.shape[-1])
        counted, gains = self._gains(label, h, moved.shape[-1])
        factor = grads[0] * h.dtype.type(self._scale(outputs[1], counted))
        dx = np.zeros_like(rows)
        dx[counted] = (rows[counted] * gains.sum(axis=1, keepdims=True) - gains) * factor
        return np.ascontiguousarray(np.moveaxis(dx.reshape(moved.shape), -1, self.axis)), None, None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The labels, the gains and the softmax."""
        return (1, 2), (1,)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The scores, not the labels and the gains."""
        return (0,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """As softmax, a logarithm and a product."""
        return 8 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class MulticlassHingeLoss(Op):
    """loss = weight / N sum of m or of m^2, m = max(0, 1 + s x), s = -1 at an example's label and 1 elsewhere.

    Each class is a yes-or-no question of its own: its score is to be above 1 at the label and below -1 elsewhere.

    Shapes: x (N, ...), all of an example's elements being the scores of its classes; label with N elements -> loss ().
    dx = dloss weight / N s where m > 0 and 0 elsewhere, or dloss weight / N 2 m s. NaN stays NaN.

    Args:
        norm: 1 for the sum of the margins m, 2 for that of their squares.
        weight: factor of the loss.
    """

    norm: int = 1
    weight: float = 1.0

    def infer(self, x: Spec, label: Spec) -> Spec:
        """(N, ...), (N) -> ()."""
        check_float(self, x)
        if self.norm not in (1, 2):
            raise ConfigError(f"{self.name}: norm is {self.norm!r}; expected 1 or 2.")
        if not x.ndim or label.size != x.shape[0]:
            raise ShapeError(f"{self.name}: labels {label} for the scores {x}; expected one label an example.")
        return Spec((), x.dtype)

    def _margins(self, x: Array, label: Array) -> tuple[Array, Array]:
        """s and m: (N, C)."""
        examples = x.shape[0]
        classes = x.size // max(examples, 1)
        s = np.ones((examples, classes), x.dtype)
        s[np.arange(examples), class_numbers(label, classes).reshape(-1)] = -1
        return s, np.maximum(1 + s * x.reshape(s.shape), 0)

    def forward(self, x: Array, label: Array) -> Array:
        """Added up in float64."""
        _, m = self._margins(x, label)
        total = (m if self.norm == 1 else m * m).sum(dtype=np.float64)
        return np.asarray(self.weight / max(x.shape[0], 1) * total, x.dtype)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Weight / N s where m > 0, or weight / N 2 m s."""
        x, label = inputs
        s, m = self._margins(x, label)
        slope = s * (np.sign(m) if self.norm == 1 else 2 * m)
        return (slope * (grads[0] * x.dtype.type(self.weight / max(x.shape[0], 1)))).reshape(x.shape), None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """Both inputs."""
        return (0, 1), ()

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The scores, not the labels."""
        return (0,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A comparison, a product and a sum an element."""
        return 3 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class RankAccuracy(Op):
    """The share of positions whose label is among the k best classes, and the same for each class. No gradient.

    A label is among them if less than k other classes have its score or a better one: a tie is lost, so that equal
    scores everywhere are no right answer. NaN is not better than anything, nor is anything better than it, so that a
    label whose own score is NaN counts as right. This is Caffe's accuracy.

    Shapes: x (..., C, ...), label with one element a position -> (), (C). The first is right answers / positions that
    are not ignored, the second the same for the positions of each label; 0 where there are none.

    Args:
        top_k: how many classes are looked at, 1 to C.
        axis: the axis of the classes.
        ignore: the label of positions that do not count, a class or any other whole number; None for none.
    """

    top_k: int = 1
    axis: int = 1
    ignore: int | None = None

    def infer(self, x: Spec, label: Spec) -> tuple[Spec, Spec]:
        """(..., C, ...), (P) -> (), (C)."""
        check_float(self, x)
        axis = check_axis(self, self.axis, x)
        check_labels(self, x, label, axis)
        if not 1 <= self.top_k <= x.shape[axis]:
            raise ConfigError(
                f"{self.name}: top_k is {self.top_k}; expected 1 to {x.shape[axis]}, the number of classes."
            )
        return Spec((), x.dtype), Spec((x.shape[axis],), x.dtype)

    def forward(self, x: Array, label: Array) -> tuple[Array, Array]:
        """Comparisons and counts."""
        classes = x.shape[self.axis]
        numbers = class_numbers(label, classes, self.ignore).reshape(-1)
        places = np.flatnonzero(numbers >= 0)
        numbers = numbers[places]
        scores = np.moveaxis(x, self.axis, -1).reshape(-1, classes)[places]
        own = scores[np.arange(numbers.size), numbers]
        rank = np.count_nonzero(scores >= own[:, np.newaxis], axis=1) - 1
        right = np.bincount(numbers[rank < self.top_k], minlength=classes)
        there = np.bincount(numbers, minlength=classes)
        share = right.sum() / max(numbers.size, 1)
        return np.asarray(share, x.dtype), np.asarray(right / np.maximum(there, 1), x.dtype)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """One comparison a score."""
        return inputs[0].size
