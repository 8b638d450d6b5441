"""Losses and a measure that look at two blobs element by element: a number of the one belongs to each of the other.

Logarithms are taken of 1e-20 at least, and divisions are by 1e-20 at least, so that a probability of 0 gives a large
loss and slope, not an infinite one.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_axis, check_float, check_same
from mocha.ops.loss import LEAST


def _least(x: Array) -> Array:
    """What can be divided by and has a logarithm; NaN stays NaN."""
    return np.maximum(x, x.dtype.type(LEAST))


@dataclasses.dataclass(frozen=True)
class SoftlabelSoftmaxLoss(Op):
    """loss = -weight / P sum of label ln softmax(x): a cross entropy. The second output is the softmax.

    Shapes: x and label (..., C, ...), P positions around the class axis -> loss (), probability like x.
    dx = dloss weight / P (softmax(x) s - label), with s the sum of the position's labels, which need not be 1. The
    labels have no gradient. ln softmax is x - max - ln sum exp(x - max), as in `SoftmaxLoss`; where a label is 0 its
    term is 0, even if the softmax is 0 too.

    Args:
        axis: the axis of the classes.
        weight: factor of the loss.
    """

    axis: int = 1
    weight: float = 1.0
    n_aux = 1

    def infer(self, x: Spec, label: Spec) -> tuple[Spec, Spec]:
        """(..., C, ...), the same -> (), (..., C, ...)."""
        check_float(self, x)
        check_same(self, x, label)
        if x.shape[check_axis(self, self.axis, x)] == 0:
            raise ShapeError(f"{self.name}: the scores {x} have no classes along axis {self.axis}; expected some.")
        return Spec((), x.dtype), x

    def _scale(self, x: Array) -> float:
        return self.weight / max(x.size // x.shape[self.axis], 1)

    def forward(self, x: Array, label: Array) -> tuple[Array, Array]:
        """By logarithms of the sums of exponentials, added up in float64."""
        with np.errstate(invalid="ignore"):
            shifted = x - x.max(axis=self.axis, keepdims=True)
            e = np.exp(shifted)
            total = e.sum(axis=self.axis, keepdims=True)
            terms = np.where(label == 0, x.dtype.type(0), label * (shifted - np.log(total)))
            loss = -self._scale(x) * terms.sum(dtype=np.float64)
            return np.asarray(loss, x.dtype), np.asarray(e / total)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Weight / P (softmax times the sum of labels - label)."""
        label, probability = inputs[1], outputs[1]
        slope = probability * label.sum(axis=self.axis, keepdims=True) - label
        return slope * (grads[0] * label.dtype.type(self._scale(label))), None

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """The labels and the softmax."""
        return (1,), (1,)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The scores, not the labels."""
        return (0,)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """As softmax, and a product."""
        return 7 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class _PairLoss(Op):
    """loss = weight / N times the sum of a function of each pair of elements, added up in float64.

    Shapes: a (N, ...), b with as many elements and the same N -> loss ().

    Args:
        weight: factor of the loss.
    """

    weight: float = 1.0

    def infer(self, a: Spec, b: Spec) -> Spec:
        """(N, ...), (N, ...) -> ()."""
        check_float(self, a)
        if a.dtype != b.dtype or a.size != b.size or not a.ndim or a.shape[:1] != b.shape[:1]:
            raise ShapeError(f"{self.name}: inputs {a} and {b}; expected the same examples, size and type.")
        return Spec((), a.dtype)

    @abstractmethod
    def _terms(self, a: Array, b: Array) -> Array:
        """The function."""

    @abstractmethod
    def _slopes(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Its derivatives."""

    def forward(self, a: Array, b: Array) -> Array:
        """Weight / N times the sum."""
        with np.errstate(invalid="ignore"):
            total = self._terms(a, b.reshape(a.shape)).sum(dtype=np.float64)
        return np.asarray(self.weight / max(a.shape[0], 1) * total, a.dtype)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Weight / N times the derivatives."""
        a, b = inputs
        factor = grads[0] * a.dtype.type(self.weight / max(a.shape[0], 1))
        with np.errstate(invalid="ignore"):
            da, db = self._slopes(a, b.reshape(a.shape))
            return (da * factor if wanted[0] else None), ((db * factor).reshape(b.shape) if wanted[1] else None)

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """Both inputs."""
        return (0, 1), ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Some operations an element."""
        return 5 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class SquareLoss(_PairLoss):
    """loss = weight / (2 N) sum of (a - b)^2; da = dloss weight / N (a - b), db = -da.

    Shapes: a (N, ...), b with as many elements and the same N -> loss ().

    Args:
        weight: factor of the loss.
    """

    def _terms(self, a: Array, b: Array) -> Array:
        d = (a - b).astype(np.float64)
        return 0.5 * d * d

    def _slopes(self, a: Array, b: Array) -> tuple[Array, Array]:
        d = a - b
        return d, -d


@dataclasses.dataclass(frozen=True)
class BinaryCrossEntropyLoss(_PairLoss):
    """loss = -weight / N sum of y ln p + (1 - y) ln(1 - p), for predictions p and labels y from 0 to 1.

    Shapes: p (N, ...), y with as many elements and the same N -> loss ().
    dp = -dloss weight / N (y / p - (1 - y) / (1 - p)), dy = -dloss weight / N (ln p - ln(1 - p)), with max(p, 1e-20)
    and max(1 - p, 1e-20) for p and 1 - p in logarithms and quotients.

    Args:
        weight: factor of the loss.
    """

    def _terms(self, a: Array, b: Array) -> Array:
        return -(b * np.log(_least(a)) + (1 - b) * np.log(_least(1 - a)))

    def _slopes(self, a: Array, b: Array) -> tuple[Array, Array]:
        p, q = _least(a), _least(1 - a)
        return (1 - b) / q - b / p, np.log(q) - np.log(p)


@dataclasses.dataclass(frozen=True)
class HingeLoss(_PairLoss):
    """loss = weight / N sum of max(0, 1 - x y), for scores x and labels y of -1 and 1.

    Shapes: x (N, ...), y with as many elements and the same N -> loss ().
    dx = -dloss weight / N y and dy = -dloss weight / N x where x y < 1, else 0.

    Args:
        weight: factor of the loss.
    """

    def _terms(self, a: Array, b: Array) -> Array:
        return np.maximum(1 - a * b, 0)

    def _slopes(self, a: Array, b: Array) -> tuple[Array, Array]:
        inside, zero = a * b < 1, a.dtype.type(0)
        return np.where(inside, -b, zero), np.where(inside, -a, zero)


@dataclasses.dataclass(frozen=True)
class GaussianKLLoss(_PairLoss):
    """loss = weight / (2 N) sum of mu^2 + sigma^2 - 2 ln sigma - 1: how far normal distributions are from N(0, 1).

    It is the Kullback-Leibler divergence of N(mu, sigma^2) from the standard normal distribution, added up over the
    elements of an example (Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014, appendix B).

    Shapes: mu (N, ...), sigma > 0 with as many elements and the same N -> loss ().
    dmu = dloss weight / N mu, dsigma = dloss weight / N (sigma - 1 / sigma), with max(sigma, 1e-20) for sigma in the
    logarithm and the quotient.

    Args:
        weight: factor of the loss.
    """

    def _terms(self, a: Array, b: Array) -> Array:
        half = a.dtype.type(0.5)
        return half * (a * a + b * b - 1) - np.log(_least(b))

    def _slopes(self, a: Array, b: Array) -> tuple[Array, Array]:
        return a, b - 1 / _least(b)


@dataclasses.dataclass(frozen=True)
class BinaryAccuracy(Op):
    """The share of elements that lie on the label's side of a threshold: both above it, or neither. No gradient.

    Shapes: x, label with as many elements -> (). NaN is not above.

    Args:
        threshold: above it is one side; it belongs to the other itself.
    """

    threshold: float = 0.0

    def infer(self, x: Spec, label: Spec) -> Spec:
        """Any shapes of one size -> ()."""
        check_float(self, x)
        if x.size != label.size:
            raise ShapeError(f"{self.name}: predictions {x} and labels {label}; expected as many of each.")
        return Spec((), x.dtype)

    def forward(self, x: Array, label: Array) -> Array:
        """Right answers / elements."""
        right = np.count_nonzero((x.reshape(-1) > self.threshold) == (label.reshape(-1) > self.threshold))
        return np.asarray(right / max(x.size, 1), x.dtype)

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Two comparisons an element."""
        return 2 * inputs[0].size
