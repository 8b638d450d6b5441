"""Loss layers, which say what training minimises. They have no tops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mocha import ops
from mocha.graph import Graph, Value
from mocha.layers.base import Layer, class_axis, number
from mocha.ops.class_weights import NORMALIZATIONS


class MinimisedLayer(Layer):
    """A layer that gives a scalar for training to minimise.

    The mean over an epoch is reported as ``<name>-<reported>``, so that a validation tells it.
    """

    n_bottoms: ClassVar[int | None] = 2
    n_tops: ClassVar[int | None] = 0
    reported: ClassVar[str] = "loss"
    """What the mean over an epoch is called, behind the layer's name."""

    def minimise(self, g: Graph, loss: Value, count: int) -> None:
        """Make a scalar part of the objective, and report it.

        Args:
            g: the graph.
            loss: the loss of a batch.
            count: what it is a mean over.
        """
        g.objective(self.name, loss)
        g.report(self.reported, loss, count=count)


class LossLayer(MinimisedLayer):
    """What most losses share: a prediction and a label, and a weight.

    Args:
        weight: factor of the loss in the objective, >= 0.
    """

    weight: float = 1.0

    def check(self) -> None:
        """The weight."""
        number(self, "weight")


class _HardLabelLossLayer(LossLayer):
    """What losses of hard labels share: the axis of the classes, and weights of these."""

    dim: int = 1
    weights: npt.ArrayLike = ()
    normalize: str = "local"

    def check(self) -> None:
        """Property by property."""
        super().check()
        class_axis(self)
        if self.normalize not in NORMALIZATIONS:
            self.wrong("normalize", self.normalize, "'local', 'global' or 'no'")
        try:
            weights = np.array(self.weights, np.float64)
        except (TypeError, ValueError):
            weights = np.array(np.nan)
        if weights.ndim == 0 or not ((weights >= 0) & (weights < np.inf)).all():
            self.wrong("weights", self.weights, "nothing, or an array of numbers >= 0")
        weights.flags.writeable = False
        self.settle("weights", weights if weights.size else ())

    def _class_weights(self) -> ops.ClassWeights | None:
        weights = np.asarray(self.weights)
        return ops.ClassWeights.of(weights, self.normalize) if weights.size else None


class SoftmaxLossLayer(_HardLabelLossLayer):
    """loss = -weight / P sum over the P positions of w ln softmax(prediction)[label].

    Shapes: prediction (N, C, ...), label with one class number a position, from 0: (N), (N, 1), (N, 1, ...).
    w is the class weight of the label at its position, 1 without `weights`.

    Args:
        dim: the axis of the classes, from 0 for the batch; not the batch.
        weights: of the classes, >= 0: none, or an array of shape (C,), of one example's shape or of the prediction's.
            All are row-major. (Mocha.jl's order of axes is reversed.)
        normalize: "local" scales the weights of each position so that their mean over the classes is 1, "global" those
            of each example so that their mean over all its elements is 1; "no" leaves them as they are.

    Examples:
        >>> loss = SoftmaxLossLayer(bottoms=["scores", "label"])
        >>> run_layers(loss, scores=[[0, 0], [0, 0]], label=[0, 1])
        {'softmax-loss': 0.693147..., 'softmax-loss-softmax-loss': 0.693147...}
        >>> weighted = SoftmaxLossLayer(weights=[3, 1], normalize="no", bottoms=["scores", "label"])
        >>> run_layers(weighted, scores=[[0, 0], [0, 0]], label=[0, 1])
        {'softmax-loss': 1.386294..., 'softmax-loss-softmax-loss': 1.386294...}
    """

    name: str = "softmax-loss"
    reported = "softmax-loss"

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        op = ops.SoftmaxLoss(self.dim, float(self.weight), self._class_weights())
        self.minimise(g, g(op, *inputs), inputs[1].spec.size)
        return []


class MultinomialLogisticLossLayer(_HardLabelLossLayer):
    """loss = -weight / P sum over the P positions of w ln max(prediction[label], 1e-20).

    The prediction holds probabilities, as of a `SoftmaxLayer`; on scores `SoftmaxLossLayer` is more exact. Unlike
    Mocha.jl's, the layer has a gradient, Caffe's: -weight / P w / max(prediction, 1e-20) at the label.

    Shapes: prediction (N, C, ...), label with one class number a position, from 0: (N), (N, 1), (N, 1, ...).
    w is the class weight of the label at its position, 1 without `weights`.

    Args:
        dim: the axis of the classes, from 0 for the batch; not the batch.
        weights: of the classes, as those of `SoftmaxLossLayer`.
        normalize: "local", "global" or "no", as there.

    Examples:
        >>> loss = MultinomialLogisticLossLayer(bottoms=["p", "label"])
        >>> run_layers(loss, p=[[0.5, 0.5], [0.25, 0.75]], label=[0, 0])
        {'multinomial-logistic-loss': 1.039720..., 'multinomial-logistic-loss-multinomial-logistic-loss': 1.039720...}
    """

    name: str = "multinomial-logistic-loss"
    reported = "multinomial-logistic-loss"

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        op = ops.MultinomialLogisticLoss(self.dim, float(self.weight), self._class_weights())
        self.minimise(g, g(op, *inputs), inputs[1].spec.size)
        return []


class SquareLossLayer(LossLayer):
    """loss = weight / (2 N) sum of (prediction - label)^2; both bottoms may get gradients.

    Examples:
        >>> loss = SquareLossLayer(bottoms=["x", "target"])
        >>> run_layers(loss, x=[[1, 2], [3, 4]], target=[[1, 2], [3, 6]])
        {'square-loss': 1.0, 'square-loss-square-loss': 1.0}
    """

    name: str = "square-loss"
    reported = "square-loss"

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        loss = g(ops.SquareLoss(float(self.weight)), *inputs)
        self.minimise(g, loss, inputs[0].shape[0])
        return []


class SoftlabelSoftmaxLossLayer(LossLayer):
    """loss = -weight / P sum of label ln softmax(prediction): a cross entropy over P positions.

    Shapes: prediction and label (N, C, ...), the labels of a position a distribution, as a rule. The gradient is right
    for labels of any sum. The label gets none.

    Args:
        dim: the axis of the classes, from 0 for the batch; not the batch.

    Examples:
        >>> loss = SoftlabelSoftmaxLossLayer(bottoms=["scores", "label"])
        >>> run_layers(loss, scores=[[0, 0]], label=[[0.5, 0.5]])
        {'softlabel-softmax-loss': 0.693147..., 'softlabel-softmax-loss-softlabel-softmax-loss': 0.693147...}
    """

    name: str = "softlabel-softmax-loss"
    reported = "softlabel-softmax-loss"
    dim: int = 1

    def check(self) -> None:
        """Property by property."""
        super().check()
        class_axis(self)

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        scores = inputs[0].spec
        loss = g(ops.SoftlabelSoftmaxLoss(self.dim, float(self.weight)), *inputs)
        self.minimise(g, loss, scores.size // scores.shape[self.dim])
        return []


class BinaryCrossEntropyLossLayer(LossLayer):
    """loss = -weight / N sum of label ln prediction + (1 - label) ln(1 - prediction), for numbers from 0 to 1.

    Logarithms are of 1e-20 at least. Both bottoms may get gradients, and may have different axes behind the batch, as
    (N, 1) and (N), as long as they have as many elements.

    Examples:
        >>> loss = BinaryCrossEntropyLossLayer(bottoms=["p", "label"])
        >>> run_layers(loss, p=[[0.5, 0.5]], label=[[0, 1]])
        {'binary-cross-entropy-loss': 1.386294..., 'binary-cross-entropy-loss-binary-cross-entropy-loss': 1.386294...}
    """

    name: str = "binary-cross-entropy-loss"
    reported = "binary-cross-entropy-loss"

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        self.minimise(g, g(ops.BinaryCrossEntropyLoss(float(self.weight)), *inputs), inputs[0].shape[0])
        return []


class HingeLossLayer(LossLayer):
    """loss = weight / N sum of max(0, 1 - prediction label), for labels of -1 and 1.

    Both bottoms may get gradients. (Mocha.jl on the CPU left the weight out of the loss, but not out of the gradient.
    Here it is in both.)

    Examples:
        >>> loss = HingeLossLayer(bottoms=["scores", "label"])
        >>> run_layers(loss, scores=[[2], [0.5], [1]], label=[[1], [1], [-1]])
        {'hinge-loss': 0.833333..., 'hinge-loss-hinge-loss': 0.833333...}
    """

    name: str = "hinge-loss"
    reported = "hinge-loss"

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        loss = g(ops.HingeLoss(float(self.weight)), *inputs)
        self.minimise(g, loss, inputs[0].shape[0])
        return []


class GaussianKLLossLayer(LossLayer):
    """loss = weight / (2 N) sum of mu^2 + sigma^2 - 2 ln sigma - 1: what an encoder is away from N(0, 1).

    The bottoms are the means and the standard deviations (> 0; not the variances) of normal distributions; both may
    get gradients. The logarithm is of 1e-20 at least.

    Examples:
        >>> loss = GaussianKLLossLayer()
        >>> run_layers(loss, mu=[[0, 1]], sigma=[[1, 1]])
        {'gauss-kl-loss': 0.5, 'gauss-kl-loss-encoder-loss': 0.5}
    """

    name: str = "gauss-kl-loss"
    reported = "encoder-loss"
    bottoms: Sequence[str] = ("mu", "sigma")

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        loss = g(ops.GaussianKLLoss(float(self.weight)), *inputs)
        self.minimise(g, loss, inputs[0].shape[0])
        return []
