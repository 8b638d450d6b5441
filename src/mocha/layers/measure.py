"""Layers that measure how good a prediction is, without a part in the objective. They have no tops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from mocha import ops
from mocha.graph import Graph, Value
from mocha.layers.base import Layer, class_axis


class AccuracyLayer(Layer):
    """The share of labels that are the class of the largest score (the first of equal ones).

    The mean over an epoch is reported as ``<name>-accuracy``.

    Args:
        dim: the axis of the classes, from 0 for the batch; not the batch.
        report_error: report 1 - accuracy too, as ``<name>-error``.

    Examples:
        >>> layer = AccuracyLayer(report_error=True, bottoms=["scores", "label"])
        >>> run_layers(layer, scores=[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]], label=[0, 1, 1, 1])
        {'accuracy-accuracy': 0.75, 'accuracy-error': 0.25}
    """

    name: str = "accuracy"
    dim: int = 1
    report_error: bool = False
    n_bottoms: ClassVar[int | None] = 2
    n_tops: ClassVar[int | None] = 0

    def check(self) -> None:
        """Property by property."""
        class_axis(self)

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        share = g(ops.Accuracy(self.dim), *inputs)
        complement = "error" if self.report_error else ""
        g.report("accuracy", share, count=inputs[1].spec.size, percent=True, complement=complement)
        return []


class BinaryAccuracyLayer(Layer):
    """The share of elements on the same side of a threshold as their labels: both above it, or neither.

    The mean over an epoch is reported as ``<name>-accuracy``.

    Args:
        threshold: 0 for labels of -1 and 1, 0.5 for labels of 0 and 1. What equals it is not above it.
        report_error: report 1 - accuracy too, as ``<name>-error``.

    Examples:
        >>> layer = BinaryAccuracyLayer(threshold=0.5, bottoms=["p", "label"])
        >>> run_layers(layer, p=[[0.9], [0.2], [0.7], [0.1]], label=[[1], [0], [0], [0]])
        {'binary-accuracy-accuracy': 0.75}
    """

    name: str = "binary-accuracy"
    threshold: float = 0.0
    report_error: bool = False
    n_bottoms: ClassVar[int | None] = 2
    n_tops: ClassVar[int | None] = 0

    def check(self) -> None:
        """The threshold."""
        t = self.threshold
        if isinstance(t, bool) or not isinstance(t, (int, float)) or not math.isfinite(t):
            self.wrong("threshold", t, "a finite number")

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        share = g(ops.BinaryAccuracy(float(self.threshold)), *inputs)
        complement = "error" if self.report_error else ""
        g.report("accuracy", share, count=inputs[0].spec.size, percent=True, complement=complement)
        return []
