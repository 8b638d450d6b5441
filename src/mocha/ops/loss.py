"""Losses and the measures that go with them: two blobs become one number.

A loss is a mean over the batch, so that its size does not depend on the batch's. Hard labels are those of
`mocha.ops.labels`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mocha.ops.base import Array, Op, Spec, check_axis, check_float
from mocha.ops.class_weights import ClassWeights
from mocha.ops.labels import check_divisor, check_labels, class_numbers, divide_by

LEAST = 1e-20
"""What a logarithm is taken of at least, so that a probability of 0 gives a large loss and not an infinite one."""


@dataclasses.dataclass(frozen=True)
class _HardLabelLoss(Op):
    """What losses share that look at one class at each of P positions, the label's.

    Args:
        axis: the axis of the classes.
        weight: factor of the loss.
        weights: what a position counts, by its class; None for 1 everywhere.
    """

    axis: int = 1
    weight: float = 1.0
    weights: ClassWeights | None = None

    def _check(self, x: Spec, label: Spec) -> None:
        check_float(self, x)
        check_labels(self, x, label, check_axis(self, self.axis, x))
        if self.weights is not None:
            self.weights.fit(x, self.axis)

    def _scores(self, x: Array) -> Array:
        """The class axis last: (P, C)."""
        return np.moveaxis(x, self.axis, -1).reshape(-1, x.shape[self.axis])

    def _places(self, label: Array, classes: int, ignore: int | None = None) -> tuple[Array, Array]:
        """The positions that count, as rows of `_scores`, and their classes."""
        # the positions of `_scores` run over the other axes of x in row-major order, as the label's elements do
        numbers = class_numbers(label, classes, ignore).reshape(-1)
        if ignore is None:
            return np.arange(numbers.size), numbers
        rows = np.flatnonzero(numbers >= 0)
        return rows, numbers[rows]

    def _counts(self, x: Array, places: tuple[Array, Array]) -> Array | float:
        """What each position that counts does so for: (P), or 1."""
        return 1.0 if self.weights is None else self.weights.at(places, Spec.of(x), self.axis)

    def _divisor(self, x: Array, places: tuple[Array, Array]) -> int:
        """What the sum over the positions is divided by."""
        return max(places[0].size, 1)

    def _mean(self, x: Array, log_likelihood: Array, places: tuple[Array, Array]) -> Array:
        """The loss: -weight times the weighted sum of the logarithms / the divisor, added up in float64."""
        total = np.sum(log_likelihood * self._counts(x, places), dtype=np.float64)
        return np.asarray(-self.weight * total / self._divisor(x, places), x.dtype)

    def _factors(self, dloss: Array, x: Array, places: tuple[Array, Array]) -> Array:
        """What the slope at each position that counts is multiplied by: (P, 1), or a number."""
        factor = dloss * x.dtype.type(self.weight / self._divisor(x, places))
        counts = self._counts(x, places)
        return np.asarray(factor if isinstance(counts, float) else (factor * counts.astype(x.dtype))[:, np.newaxis])

    def _put_back(self, scores: Array, like: Array) -> Array:
        """(P, C) with the class axis where it was."""
        moved = np.moveaxis(like, self.axis, -1)
        return np.ascontiguousarray(np.moveaxis(scores.reshape(moved.shape), -1, self.axis))

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The scores, not the labels."""
        return (0,)


@dataclasses.dataclass(frozen=True)
class SoftmaxLoss(_HardLabelLoss):
    """loss = -weight / M sum over positions of w ln max(softmax(x)[label], least); the second output is the softmax.

    Shapes: x (..., C, ...), label with one element a position (P of them) -> loss (), probability like x.
    w, the class weight of the label at its position, is 1 without `weights`. M is P, unless `divisor` says otherwise.
    dx = dloss weight / M w (softmax(x) - onehot(label)), also where the logarithm is bounded by `least`, so that a
    hopeless answer is still corrected. The logarithm is taken of no quotient: ln softmax is
    x - max - ln sum exp(x - max), so a score however small gives a finite loss.

    Positions with the label `ignore` add nothing to the loss, and their gradients are 0.

    Args:
        axis: the axis of the classes.
        weight: factor of the loss.
        weights: `ClassWeights`, or None.
        ignore: the label of positions that do not count, a class or any other whole number; None for none.
        divisor: what the sum is divided by, one of "positions", "counted", "examples", "one"; see `mocha.ops.labels`.
        least: what the logarithm is taken of at least; Caffe's is 2^-126, the smallest normal number of float32.
    """

    ignore: int | None = None
    divisor: str = "positions"
    least: float = 0.0
    n_aux = 1

    def infer(self, x: Spec, label: Spec) -> tuple[Spec, Spec]:
        """(..., C, ...), (P) -> (), (..., C, ...)."""
        self._check(x, label)
        check_divisor(self, self.divisor)
        return Spec((), x.dtype), x

    def _divisor(self, x: Array, places: tuple[Array, Array]) -> int:
        examples = math.prod(x.shape[: self.axis % x.ndim])
        return divide_by(self.divisor, x.size // x.shape[self.axis], places[0].size, examples)

    def forward(self, x: Array, label: Array) -> tuple[Array, Array]:
        """By logarithms of the sums of exponentials, added up in float64."""
        places = self._places(label, x.shape[self.axis], self.ignore)
        with np.errstate(invalid="ignore"):
            shifted = x - x.max(axis=self.axis, keepdims=True)
            e = np.exp(shifted)
            total = e.sum(axis=self.axis, keepdims=True)
            log_likelihood = self._scores(shifted - np.log(total))[places]
            if self.least:
                log_likelihood = np.maximum(log_likelihood, x.dtype.type(math.log(self.least)))
            return self._mean(x, log_likelihood, places), np.asarray(e / total)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Weight / M w (softmax - onehot), and 0 where labels are ignored."""
        probability, label = outputs[1], inputs[1]
        scores = self._scores(probability).copy()
        places = self._places(label, scores.shape[1], self.ignore)
        scores[places] -= 1
        factors = self._factors(grads[0], probability, places)
        if self.ignore is None:
            scores *= factors
        else:
            slopes = scores[places[0]] * factors
            scores[...] = 0
            scores[places[0]] = slopes
        return self._put_back(scores, probability), None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The labels and the softmax."""
        return (1,), (1,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """As softmax."""
        return 5 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class MultinomialLogisticLoss(_HardLabelLoss):
    """loss = -weight / P sum over positions of w ln max(x[label], 1e-20), for x that are probabilities already.

    Shapes: x (..., C, ...), label with one element a position (P of them) -> loss ().
    w, the class weight of the label at its position, is 1 without `weights`.
    dx = -dloss weight / P w / max(x, 1e-20) at the labels, and 0 elsewhere. That is Caffe's: it does not become 0 below
    1e-20, so that an answer that is hopelessly wrong is still corrected.

    Args:
        axis: the axis of the classes.
        weight: factor of the loss.
        weights: `ClassWeights`, or None.
    """

    def infer(self, x: Spec, label: Spec) -> Spec:
        """(..., C, ...), (P) -> ()."""
        self._check(x, label)
        return Spec((), x.dtype)

    def forward(self, x: Array, label: Array) -> Array:
        """Logarithms added up in float64."""
        places = self._places(label, x.shape[self.axis])
        log_likelihood = np.log(np.maximum(self._scores(x)[places], x.dtype.type(LEAST)))
        return self._mean(x, log_likelihood, places)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """-weight / P w / max(x, 1e-20) at the labels."""
        x, label = inputs
        scores = self._scores(x)
        places = self._places(label, scores.shape[1])
        slopes = np.zeros_like(scores)
        factors = self._factors(grads[0], x, places).reshape(-1)
        slopes[places] = -factors / np.maximum(scores[places], x.dtype.type(LEAST))
        return self._put_back(slopes, x), None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """Both inputs."""
        return (0, 1), ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A logarithm a label."""
        return inputs[1].size


@dataclasses.dataclass(frozen=True)
class Accuracy(Op):
    """The share of positions whose largest score is the label's; of equal scores the first counts. No gradient.

    Shapes: x (..., C, ...), label with one element a position -> ().

    Args:
        axis: the axis of the classes.
    """

    axis: int = 1

    def infer(self, x: Spec, label: Spec) -> Spec:
        """(..., C, ...), (P) -> ()."""
        check_float(self, x)
        check_labels(self, x, label, check_axis(self, self.axis, x))
        return Spec((), x.dtype)

    def forward(self, x: Array, label: Array) -> Array:
        """Right answers / positions."""
        numbers = class_numbers(label, x.shape[self.axis]).reshape(-1)
        right = np.count_nonzero(x.argmax(axis=self.axis).reshape(-1) == numbers)
        return np.asarray(right / max(numbers.size, 1), x.dtype)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """One comparison a score."""
        return inputs[0].size
