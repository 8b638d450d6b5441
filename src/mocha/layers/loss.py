"""Loss layers, which say what training minimises, and the layers that measure. They have no tops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mocha import ops
from mocha.graph import Graph, Value
from mocha.layers.base import Layer, dimension, number


class LossLayer(Layer):
    """What losses share: two bottoms, prediction and label, and a weight.

    Args:
        weight: factor of the loss in the objective, >= 0.
    """

    weight: float = 1.0
    n_bottoms: ClassVar[int | None] = 2
    n_tops: ClassVar[int | None] = 0

    def check(self) -> None:
        """The weight."""
        number(self, "weight")


class SoftmaxLossLayer(LossLayer):
    """loss = -weight / P sum over the P positions of ln softmax(prediction)[label].

    Shapes: prediction (N, C, ...), label with one class number a position, from 0: (N), (N, 1), (N, 1, ...).

    Args:
        dim: the axis of the classes, from 0 for the batch; not the batch.
    """

    name: str = "softmax-loss"
    dim: int = 1

    def check(self) -> None:
        """Property by property."""
        super().check()
        dimension(self, "dim")
        if self.dim == 0:
            self.wrong("dim", self.dim, "another axis than the batch")

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        g.objective(self.name, g(ops.SoftmaxLoss(self.dim, float(self.weight)), *inputs))
        return []


class SquareLossLayer(LossLayer):
    """loss = weight / (2 N) sum of (prediction - label)^2; both bottoms may get gradients.

    The mean over an epoch is reported as ``<name>-square-loss``.
    """

    name: str = "square-loss"

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        loss = g(ops.SquareLoss(float(self.weight)), *inputs)
        g.objective(self.name, loss)
        g.report("square-loss", loss, count=inputs[0].shape[0])
        return []


class AccuracyLayer(Layer):
    """The share of labels that are the class of the largest score (the first of equal ones).

    The mean over an epoch is reported as ``<name>-accuracy``.

    Args:
        dim: the axis of the classes, from 0 for the batch; not the batch.
        report_error: report 1 - accuracy too, as ``<name>-error``.
    """

    name: str = "accuracy"
    dim: int = 1
    report_error: bool = False
    n_bottoms: ClassVar[int | None] = 2
    n_tops: ClassVar[int | None] = 0

    def check(self) -> None:
        """Property by property."""
        dimension(self, "dim")
        if self.dim == 0:
            self.wrong("dim", self.dim, "another axis than the batch")

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        share = g(ops.Accuracy(self.dim), *inputs)
        complement = "error" if self.report_error else ""
        g.report("accuracy", share, count=inputs[1].spec.size, percent=True, complement=complement)
        return []
