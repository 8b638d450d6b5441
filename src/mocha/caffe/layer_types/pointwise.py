"""Layers that work element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from mocha import ops
from mocha.caffe.layer_types.base import Blob, CaffeLayer
from mocha.graph import Graph, Phase, Value
from mocha.ops import Op, Spec
from mocha.random import stream_of


class _Pointwise(CaffeLayer):
    """One bottom, one top, no blobs: a chain of ops."""

    def chain(self) -> Sequence[Op]:
        """The ops, one after the other."""
        raise NotImplementedError

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """All of them."""
        y = inputs[0]
        for op in self.chain():
            y = g(op, y)
        return [y]


class ReLU(_Pointwise):
    """max(x, 0) + negative_slope min(x, 0)."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op; a negative slope turns the sign, which PReLU can."""
        slope = self.about.relu_param.negative_slope
        if slope < 0:
            return [g(ops.PReLU(), inputs[0], g(ops.Fill((), inputs[0].dtype.name, slope)))]
        return [g(ops.LeakyReLU(slope) if slope else ops.ReLU(), inputs[0])]


class ReLU6(_Pointwise):
    """min(max(x, 0), 6), of forks."""

    def chain(self) -> Sequence[Op]:
        """Bounds."""
        return [ops.Clip(0.0, 6.0)]


class PReLU(CaffeLayer):
    """max(x, 0) + a min(x, 0), with a learned for each channel, or one for all."""

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """The slopes."""
        if inputs[0].ndim < 2:
            self.misfit(f"the bottom is {inputs[0]}; expected at least 2 axes")
        p = self.about.prelu_param
        return [self.filled("slope", () if p.channel_shared else inputs[0].shape[1:2], p, "filler", 0.25)]

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        return [g(ops.PReLU(), inputs[0], blobs[0])]


class ELU(_Pointwise):
    """x, or alpha (exp(x) - 1) below 0."""

    def chain(self) -> Sequence[Op]:
        """One op."""
        return [ops.ELU(self.about.elu_param.alpha)]


class Sigmoid(_Pointwise):
    """1 / (1 + exp(-x))."""

    def chain(self) -> Sequence[Op]:
        """One op."""
        return [ops.Sigmoid()]


class TanH(_Pointwise):
    """tanh x."""

    def chain(self) -> Sequence[Op]:
        """One op."""
        return [ops.Tanh()]


class Swish(_Pointwise):
    """x sigmoid(beta x)."""

    def chain(self) -> Sequence[Op]:
        """One op."""
        return [ops.Swish(self.about.swish_param.beta)]


class AbsVal(_Pointwise):
    """abs(x)."""

    may_be_in_place: ClassVar[bool] = False

    def chain(self) -> Sequence[Op]:
        """One op."""
        return [ops.Abs()]


class BNLL(_Pointwise):
    """log(1 + exp(x))."""

    def chain(self) -> Sequence[Op]:
        """One op."""
        return [ops.Softplus()]


class Power(_Pointwise):
    """(shift + scale x)^power."""

    def chain(self) -> Sequence[Op]:
        """One op."""
        p = self.about.power_param
        return [ops.Power(p.power, p.scale, p.shift)]


class Exp(_Pointwise):
    """base^(shift + scale x); e for the base -1."""

    def chain(self) -> Sequence[Op]:
        """A multiple, then the exponential."""
        p = self.about.exp_param
        if p.base != -1 and p.base <= 0:
            self.refuse(f"base is {p.base:g}; expected -1, for e, or a number > 0")
        ln = 1.0 if p.base == -1 else math.log(p.base)
        inner = [] if p.scale * ln == 1 and p.shift == 0 else [ops.Power(1.0, p.scale * ln, p.shift * ln)]
        return [*inner, ops.Exp()]


class Log(_Pointwise):
    """The logarithm of shift + scale x to a base; e for the base -1."""

    def chain(self) -> Sequence[Op]:
        """A multiple, the logarithm, a multiple."""
        p = self.about.log_param
        if p.base != -1 and (p.base <= 0 or p.base == 1):
            self.refuse(f"base is {p.base:g}; expected -1, for e, or a number > 0 that is not 1")
        inner = [] if p.scale == 1 and p.shift == 0 else [ops.Power(1.0, p.scale, p.shift)]
        return [*inner, ops.Log(), *([] if p.base == -1 else [ops.Scale(1 / math.log(p.base))])]


class Threshold(_Pointwise):
    """1 where x > threshold, else 0."""

    def chain(self) -> Sequence[Op]:
        """One op."""
        return [ops.Threshold(self.about.threshold_param.threshold)]


class Clip(_Pointwise):
    """min(max(x, low), high)."""

    def chain(self) -> Sequence[Op]:
        """One op. Without a message of its own both bounds are 0, as in Caffe."""
        p = self.about.clip_param
        return [ops.Clip(p.min, p.max)]


class Dropout(CaffeLayer):
    """In training, 0 with the probability dropout_ratio, else times 1 / (1 - dropout_ratio)."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op in training, none in testing."""
        ratio = self.about.dropout_param.dropout_ratio
        if not 0 <= ratio < 1:
            self.refuse(f"dropout_ratio is {ratio:g}; expected a probability, 0 to below 1")
        if g.phase is Phase.TEST or ratio == 0:
            return [g(ops.Identity(), inputs[0])]
        op = ops.Dropout(ratio, 1 / (1 - ratio), stream_of("dropout", self.name))
        return [g(op, inputs[0], g.scalar("seed"), g.scalar("counter"))]


class Eltwise(CaffeLayer):
    """Two or more bottoms become one, element by element: their product, weighted sum, or maximum."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (2, None)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """By operation."""
        p = self.about.eltwise_param
        if len({x.spec for x in inputs}) > 1:
            self.misfit(f"bottoms are {', '.join(str(x.spec) for x in inputs)}; expected one shape for all")
        if p.coeff and (p.operation == p.PROD or len(p.coeff) != len(inputs)):
            self.refuse(f"{len(p.coeff)} coeff; expected none with PROD, else none or {len(inputs)}, one a bottom")
        if p.operation == p.MAX:
            return [g(ops.Maximum(), *inputs)]
        if p.operation == p.PROD:
            y = inputs[0]
            for x in inputs[1:]:
                y = g(ops.Multiply(), y, x)
            return [y]
        coefficients = p.coeff or [1.0] * len(inputs)
        weighed = [x if c == 1 else g(ops.Scale(c), x) for x, c in zip(inputs, coefficients, strict=True)]
        return [g(ops.Sum(), *weighed)]


class Axpy(CaffeLayer):
    """a x + y with a number a for each channel of each example: bottoms a (N, C, 1, 1), x and y; of forks."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (3, 3)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """The factors spread over the positions of their channels."""
        a, x, y = inputs
        if len(x.shape) < 2 or x.spec != y.spec or math.prod(a.shape) != x.shape[0] * x.shape[1]:
            self.misfit(f"bottoms are {a.spec}, {x.spec}, {y.spec}; expected (N, C, 1, 1) and twice (N, C, H, W)")
        channels = x.shape[0] * x.shape[1]
        rows = g(ops.Reshape((channels, math.prod(x.shape[2:]))), x)
        product = g(ops.ScaleChannels(0), rows, g(ops.Reshape((channels,)), a))
        return [g(ops.Add(), g(ops.Reshape(x.shape), product), y)]
