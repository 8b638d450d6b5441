"""Softmax, losses and accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from mocha import ops
from mocha.caffe.layer_types.base import CaffeLayer, reshaped
from mocha.caffe.states import read_blob
from mocha.graph import Graph, Value

_SMALLEST = 2.0**-126
"""What Caffe takes the logarithm of at least: the smallest normal number of float32."""

_DIVISORS = {"FULL": "positions", "VALID": "counted", "BATCH_SIZE": "examples", "NONE": "one"}


class Softmax(CaffeLayer):
    """Scores become a distribution along an axis."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        return [g(ops.Softmax(self.axis(self.about.softmax_param.axis, inputs[0].spec)), inputs[0])]


class _Loss(CaffeLayer):
    """What the loss layers share."""

    is_loss: ClassVar[bool] = True
    bottom_counts: ClassVar[tuple[int, int | None]] = (2, 2)

    @property
    def ignored(self) -> int | None:
        """The label that does not count."""
        p = self.about.loss_param
        return int(p.ignore_label) if p.HasField("ignore_label") else None

    def divisor(self, default: str = "VALID") -> str:
        """What the sum is divided by, in the words of `mocha.ops.labels`."""
        p = self.about.loss_param
        if p.HasField("normalization"):
            return _DIVISORS[type(p).NormalizationMode.Name(p.normalization)]
        if p.HasField("normalize"):
            return _DIVISORS["VALID" if p.normalize else "BATCH_SIZE"]
        return _DIVISORS[default]


class SoftmaxWithLoss(_Loss):
    """The logarithm of the softmax of the label's score, turned; the softmax is the second top."""

    top_counts: ClassVar[tuple[int, int | None]] = (1, 2)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        axis = self.axis(self.about.softmax_param.axis, inputs[0].spec)
        op = ops.SoftmaxLoss(axis, ignore=self.ignored, divisor=self.divisor(), least=_SMALLEST)
        return g.apply(op, *inputs)[: len(self.tops)]


class SigmoidCrossEntropyLoss(_Loss):
    """The cross-entropy of sigmoids of scores with targets."""

    top_counts: ClassVar[tuple[int, int | None]] = (1, 1)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        x, target = inputs
        return [g(ops.SigmoidCrossEntropyLoss(ignore=self.ignored, divisor=self.divisor("BATCH_SIZE")), x, target)]


class MultinomialLogisticLoss(_Loss):
    """The logarithm of the label's probability, turned."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op on all of an example's numbers."""
        x, label = inputs
        flat = reshaped(g, x, (x.shape[0], math.prod(x.shape[1:])))
        return [g(ops.MultinomialLogisticLoss(), flat, label)]


class InfogainLoss(_Loss):
    """Like the softmax loss, with what each class would have been worth in a matrix."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (2, 3)
    top_counts: ClassVar[tuple[int, int | None]] = (1, 2)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op; the matrix is the third bottom, or in a file."""
        p, x = self.about.infogain_loss_param, inputs[0]
        axis = self.axis(p.axis, x.spec)
        if len(inputs) > 2:
            matrix = inputs[2]
        elif p.source:
            matrix = g(ops.Constant.of(read_blob(p.source).astype(x.dtype)))
        else:
            self.refuse("there is neither a third bottom nor a source for the matrix")
        op = ops.InfogainLoss(axis, ignore=self.ignored, divisor=self.divisor())
        return g.apply(op, x, inputs[1], matrix)[: len(self.tops)]


class EuclideanLoss(_Loss):
    """Half the mean of the squared distances."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        return [g(ops.SquareLoss(), *inputs)]


class HingeLoss(_Loss):
    """The margin that each class's score lacks, or its square."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        p = self.about.hinge_loss_param
        return [g(ops.MulticlassHingeLoss(2 if p.norm == p.L2 else 1), *inputs)]


class ContrastiveLoss(_Loss):
    """Pairs of one kind are to be near, others at least a margin apart."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (3, 3)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        p = self.about.contrastive_loss_param
        return [g(ops.ContrastiveLoss(p.margin, p.legacy_version), *inputs)]


class Accuracy(CaffeLayer):
    """The share of labels that are among the best classes, of all and of each class."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (2, 2)
    top_counts: ClassVar[tuple[int, int | None]] = (1, 2)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        p = self.about.accuracy_param
        ignored = p.ignore_label if p.HasField("ignore_label") else None
        op = ops.RankAccuracy(p.top_k, self.axis(p.axis, inputs[0].spec), ignored)
        found = g.apply(op, *inputs)
        g.report("accuracy", found[0], count=math.prod(inputs[1].shape), percent=True)
        return found[: len(self.tops)]
