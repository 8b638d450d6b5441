"""Dense layers, embeddings, normalisation, and what scales and shifts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from mocha import ops
from mocha.caffe.layer_types.base import Blob, CaffeLayer, reshaped
from mocha.graph import Graph, Phase, Value
from mocha.ops import Shape, Spec
from mocha.parameters import ConstantInitializer


class InnerProduct(CaffeLayer):
    """Every output is a weighted sum of all that lies behind an axis."""

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """Weight (outputs, inputs), or transposed, and bias."""
        p, x = self.about.inner_product_param, inputs[0]
        if p.num_output < 1:
            self.refuse(f"num_output is {p.num_output}; expected a number >= 1")
        features = math.prod(x.shape[self.axis(p.axis, x) :])
        shape = (features, p.num_output) if p.transpose else (p.num_output, features)
        found = [self.filled("weight", shape, p, "weight_filler")]
        return [*found, self.filled("bias", (p.num_output,), p, "bias_filler")] if p.bias_term else found

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """Product and bias."""
        p, x = self.about.inner_product_param, inputs[0]
        axis = self.axis(p.axis, x.spec)
        lead = x.shape[:axis]
        rows = x if axis == 1 else reshaped(g, x, (math.prod(lead), math.prod(x.shape[axis:])))
        y = g(ops.TransposedInnerProduct() if p.transpose else ops.InnerProduct(), rows, blobs[0])
        if p.bias_term:
            y = g(ops.AddBias(1), y, blobs[1])
        return [reshaped(g, y, (*lead, p.num_output))]


class Embed(CaffeLayer):
    """A learned vector for each whole number."""

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """The vectors (input_dim, num_output), and bias."""
        p = self.about.embed_param
        if p.num_output < 1 or p.input_dim < 1:
            self.refuse(f"num_output is {p.num_output}, input_dim {p.input_dim}; expected numbers >= 1")
        found = [self.filled("weight", (p.input_dim, p.num_output), p, "weight_filler")]
        return [*found, self.filled("bias", (p.num_output,), p, "bias_filler")] if p.bias_term else found

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """Rows, and the bias."""
        y = g(ops.TakeRows(), blobs[0], inputs[0])
        return [g(ops.AddBias(len(y.shape) - 1), y, blobs[1]) if len(blobs) > 1 else y]


class BatchNorm(CaffeLayer):
    """Each channel with the mean 0 and the variance 1 (Ioffe and Szegedy, ICML 2015), without scale and shift.

    The blobs are running sums of means and variances, and of ones, by which the other two are to be divided.
    """

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """Sum of means, sum of variances, sum of ones."""
        if inputs[0].ndim < 2:
            self.misfit(f"the bottom is {inputs[0]}; expected at least 2 axes")
        for i, spec in enumerate(self.about.param):
            if spec.lr_mult and not (i == 0 and not spec.HasField("lr_mult")):
                self.refuse(f"param {i} has lr_mult {spec.lr_mult:g}; expected 0: the statistics are not learned")
        channels = inputs[0].shape[1]
        return [Blob("mean", (channels,), learned=False), Blob("variance", (channels,), learned=False),
                Blob("factor", (1,), learned=False)]  # fmt: skip

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """By the batch's statistics, which are added to the running ones; or by the running ones."""
        p, x = self.about.batch_norm_param, inputs[0]
        use_global = p.use_global_stats if p.HasField("use_global_stats") else g.phase is Phase.TEST
        if use_global:
            mean, variance = (self._divided(g, blob, blobs[2]) for blob in blobs[:2])
            return [g(ops.BatchNormTest(p.eps), x, mean, variance)]
        y, mean, variance = g.apply(ops.BatchNormTrain(p.eps), x)
        keep = p.moving_average_fraction
        count = math.prod(x.shape) // max(x.shape[1], 1)
        one = g(ops.Fill((1,), x.dtype.name, 1.0))
        g(ops.MovingAverage(keep), blobs[0], mean)
        g(ops.MovingAverage(keep, count / (count - 1) if count > 1 else 1.0), blobs[1], variance)
        g(ops.MovingAverage(keep), blobs[2], one)
        return [y]

    def _divided(self, g: Graph, total: Value, factor: Value) -> Value:
        """A running sum / the sum of ones, and 0 where that is 0."""
        some = g(ops.Threshold(0.0), g(ops.Abs(), factor))
        # where there is nothing to divide by, 0 / 1
        divisor = g(ops.Add(), factor, g(ops.Power(1.0, -1.0, 1.0), some))
        share = g(ops.Divide(), some, divisor)
        row = g(ops.Reshape((1, total.shape[0])), total)
        return g(ops.Reshape(total.shape), g(ops.ScaleChannels(0), row, share))


def _spread(layer: CaffeLayer, x: Spec, axis: int, num_axes: int, second: Spec | None) -> tuple[int, Shape]:
    """Where a factor or a bias lies along its bottom: first axis and shape."""
    if second is not None:
        start = 0 if second.ndim == 0 else layer.axis(axis, x)
        shape = second.shape
    else:
        start = 0 if num_axes == 0 else layer.axis(axis, x)
        end = x.ndim if num_axes == -1 else start + num_axes
        if num_axes < -1 or end > x.ndim:
            layer.refuse(f"num_axes is {num_axes}; the bottom {x} has not that many from axis {start} on")
        shape = x.shape[start:end]
    if x.shape[start : start + len(shape)] != shape:
        layer.misfit(
            f"bottoms are {x} and {second}; expected the second to have the first's sizes from axis {start} on"
        )
    return start, shape


def _along(g: Graph, op: type[ops.ScaleChannels | ops.AddBias], x: Value, v: Value, axis: int) -> Value:
    """The op with v spread along x from an axis on."""
    if len(v.shape) == 1:
        return g(op(axis), x, v)
    inner = math.prod(x.shape[axis + len(v.shape) :])
    flat = reshaped(g, x, (math.prod(x.shape[:axis]), math.prod(v.shape), inner))
    return reshaped(g, g(op(1), flat, reshaped(g, v, (math.prod(v.shape),))), x.shape)


class Scale(CaffeLayer):
    """Times a learned factor, or times a second bottom, spread over the axes that it lacks; and a bias, if wanted."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (1, 2)

    def _place(self, inputs: Sequence[Spec]) -> tuple[int, Shape]:
        p = self.about.scale_param
        return _spread(self, inputs[0], p.axis, p.num_axes, inputs[1] if len(inputs) > 1 else None)

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """The factor, without a second bottom; the bias."""
        p, shape = self.about.scale_param, self._place(inputs)[1]
        found = [] if len(inputs) > 1 else [self.filled("scale", shape, p, "filler", 1.0)]
        return [*found, self.filled("bias", shape, p, "bias_filler")] if p.bias_term else found

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """Product and sum."""
        axis, _ = self._place([x.spec for x in inputs])
        factor = inputs[1] if len(inputs) > 1 else blobs[0]
        y = _along(g, ops.ScaleChannels, inputs[0], factor, axis)
        return [_along(g, ops.AddBias, y, blobs[-1], axis) if self.about.scale_param.bias_term else y]


class Bias(CaffeLayer):
    """Plus a learned number, or plus a second bottom, spread over the axes that it lacks."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (1, 2)

    def _place(self, inputs: Sequence[Spec]) -> tuple[int, Shape]:
        p = self.about.bias_param
        return _spread(self, inputs[0], p.axis, p.num_axes, inputs[1] if len(inputs) > 1 else None)

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """The bias, without a second bottom."""
        shape = self._place(inputs)[1]
        return [] if len(inputs) > 1 else [self.filled("bias", shape, self.about.bias_param, "filler")]

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """The sum."""
        axis, _ = self._place([x.spec for x in inputs])
        return [_along(g, ops.AddBias, inputs[0], inputs[1] if len(inputs) > 1 else blobs[0], axis)]


class MVN(CaffeLayer):
    """Each channel, or each example, less its mean and by its standard deviation."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op on four axes, as Caffe's result always has."""
        p, x = self.about.mvn_param, inputs[0]
        if len(x.shape) > 4:
            self.misfit(f"the bottom is {x.spec}; expected at most 4 axes")
        image = reshaped(g, x, (*x.shape, *(1,) * (4 - len(x.shape))))
        return [g(ops.Standardize(1 if p.across_channels else 2, p.eps, p.normalize_variance), image)]


class LRN(CaffeLayer):
    """Local response normalisation across channels or within each."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op. Within a channel k is 1, as in Caffe, whatever the message says."""
        p, x = self.about.lrn_param, inputs[0]
        if len(x.shape) != 4 or p.local_size % 2 == 0:
            self.misfit(f"the bottom is {x.spec}, local_size {p.local_size}; expected (N, C, H, W) and an odd number")
        across = p.norm_region == p.ACROSS_CHANNELS
        return [g(ops.LRN(p.local_size, p.alpha, p.beta, p.k if across else 1.0, across), x)]


class Normalize(CaffeLayer):
    """SSD's: the channels of each position, or a whole example, with length 1, times a learned scale."""

    @property
    def _param(self) -> Any:
        return self.about.norm_param

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """The scale, one number or one a channel."""
        shape = () if self._param.channel_shared else inputs[0].shape[1:2]
        found = self.filled("scale", shape, self._param, "scale_filler", 1.0)
        return [found if self._param.HasField("scale_filler") else Blob("scale", shape, ConstantInitializer(1.0))]

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """Lengths, then the scale."""
        x, p = inputs[0], self._param
        if p.across_spatial:
            flat = reshaped(g, x, (x.shape[0], math.prod(x.shape[1:])))
            y = reshaped(g, g(ops.L2Normalize(1, p.eps), flat), x.shape)
        else:
            y = g(ops.L2Normalize(1, p.eps), x)
        return [_along(g, ops.ScaleChannels, y, blobs[0], 0 if p.channel_shared else 1)]
