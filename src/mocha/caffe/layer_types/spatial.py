"""Layers that look through windows: the convolution family, pooling, and what changes the size of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from mocha import ops
from mocha.caffe.layer_types.base import Blob, CaffeLayer, reshaped
from mocha.graph import Graph, Phase, Value
from mocha.ops import Shape, Spec
from mocha.random import stream_of


class _Windowed(CaffeLayer):
    """What the layers with a `convolution_param` share."""

    @property
    def param(self) -> Any:
        """The layer's own message."""
        return self.about.convolution_param

    def geometry(self, x: Spec) -> tuple[int, Shape, Shape, Shape, Shape]:
        """The channel axis; kernel, stride, pad and dilation, one number a spatial axis."""
        p = self.param
        axis = self.axis(p.axis, x)
        rank = x.ndim - axis - 1
        kernel = self._sizes("kernel_size", ("kernel_h", "kernel_w"), rank, None)
        stride = self._sizes("stride", ("stride_h", "stride_w"), rank, 1)
        pad = self._sizes("pad", ("pad_h", "pad_w"), rank, 0)
        dilation = self._sizes("dilation", (), rank, 1)
        for what, numbers in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation)):
            if min(numbers, default=1) < 1:
                self.refuse(f"{what} is {list(numbers)}; expected numbers >= 1")
        return axis, kernel, stride, pad, dilation

    def _sizes(self, field: str, sides: tuple[str, ...], rank: int, default: int | None) -> Shape:
        """A property that is given once, for each spatial axis, or as ..._h and ..._w."""
        p = self.param
        listed, given = list(getattr(p, field)), [side for side in sides if p.HasField(side)]
        if given:
            if listed or rank != 2:
                self.refuse(f"{' and '.join(given)} together with {field}, or without two spatial axes")
            if default != 0 and len(given) < 2:
                self.refuse(f"{given[0]} alone; expected {' and '.join(sides)}")
            return tuple(getattr(p, side) for side in sides)
        if not listed and default is None and rank:
            self.refuse(f"{field} is missing; expected one number, or {rank}, one a spatial axis")
        if len(listed) not in (0, 1, rank):
            self.refuse(f"{field} has {len(listed)} numbers; expected one, or {rank}, one a spatial axis")
        numbers = listed or [default or 0]
        return tuple(numbers * rank if len(numbers) == 1 else numbers)

    def filters(self, x: Spec, channels: int, outputs: int) -> list[Blob]:
        """The filter (channels, outputs / group, *kernel) of one direction or the other, and the bias."""
        p = self.param
        _, kernel, *_ = self.geometry(x)
        if p.num_output < 1:
            self.refuse(f"num_output is {p.num_output}; expected a number >= 1")
        if p.group < 1 or channels % p.group or outputs % p.group:
            self.refuse(f"group is {p.group}; expected a divisor of both {channels} and {outputs}")
        found = [self.filled("filter", (channels, outputs // p.group, *kernel), p, "weight_filler")]
        if p.bias_term:
            found.append(self.filled("bias", (p.num_output,), p, "bias_filler"))
        return found

    def slide(self, g: Graph, x: Value, blobs: Sequence[Value], op: type[ops.Convolution | ops.Deconvolution]) -> Value:
        """The op on one bottom, with the axes before the channels taken together, and the bias."""
        axis, _, stride, pad, dilation = self.geometry(x.spec)
        batch = math.prod(x.shape[:axis])
        size, w = x.shape[axis + 1 :], blobs[0]
        if not size:  # no spatial axis: one of extent 1
            size, stride, pad, dilation = (1,), (1,), (0,), (1,)
            w = reshaped(g, w, (*w.shape, 1))
        y = g(op(stride, pad, dilation, self.param.group), reshaped(g, x, (batch, x.shape[axis], *size)), w)
        if len(blobs) > 1:
            y = g(ops.AddBias(1), y, blobs[1])
        spatial = y.shape[2:] if len(x.shape) > axis + 1 else ()
        return reshaped(g, y, (*x.shape[:axis], y.shape[1], *spatial))


class Convolution(_Windowed):
    """Cross-correlation with learned filters."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (1, None)
    top_counts: ClassVar[tuple[int, int | None]] = (1, None)

    def _check_counts(self) -> None:
        super()._check_counts()
        if len(self.bottoms) != len(self.tops):
            self.refuse(f"{len(self.bottoms)} bottoms and {len(self.tops)} tops; expected as many of each")

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """Filter and bias."""
        if len(set(inputs)) > 1:
            self.misfit(f"bottoms are {', '.join(map(str, inputs))}; expected one shape for all")
        axis = self.geometry(inputs[0])[0]
        return self.filters(inputs[0], self.param.num_output, inputs[0].shape[axis])

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """The same filters on each bottom."""
        return [self.slide(g, x, blobs, ops.Convolution) for x in inputs]


class Deconvolution(Convolution):
    """The adjoint of a convolution: each input scatters its filter into the output."""

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """Filter (inputs, outputs / group, *kernel) and bias."""
        axis = self.geometry(inputs[0])[0]
        return self.filters(inputs[0], inputs[0].shape[axis], self.param.num_output)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """The same filters on each bottom."""
        return [self.slide(g, x, blobs, ops.Deconvolution) for x in inputs]


class Im2col(_Windowed):
    """The windows written out along the channels."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        x = inputs[0]
        axis, kernel, stride, pad, dilation = self.geometry(x.spec)
        flat = reshaped(g, x, (math.prod(x.shape[:axis]), *x.shape[axis:]))
        y = g(ops.Unfold(kernel, stride, pad, dilation), flat)
        return [reshaped(g, y, (*x.shape[:axis], *y.shape[1:]))]


class Pooling(CaffeLayer):
    """Maximum, mean, or an element drawn at random, of each window."""

    top_counts: ClassVar[tuple[int, int | None]] = (1, 2)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op, and the winners' places."""
        x, p = inputs[0], self.about.pooling_param
        if len(x.shape) != 4:
            self.misfit(f"the bottom is {x.spec}; expected (N, C, H, W)")
        kernel, stride, pad = self._geometry(x.spec)
        method = type(p).PoolMethod.Name(p.pool)
        if len(self.tops) > 1 and method != "MAX":
            self.refuse(f"2 tops with pool {method}; only MAX has places of winners")
        return pooled(self, g, x, method, (kernel, stride, pad), p.round_mode == p.CEIL)[: len(self.tops)]

    def _geometry(self, x: Spec) -> tuple[Shape, Shape, Shape]:
        p = self.about.pooling_param
        sides = p.HasField("kernel_h") or p.HasField("kernel_w")
        if p.global_pooling:
            if sides or p.HasField("kernel_size"):
                self.refuse("global_pooling together with a kernel size")
            kernel = x.shape[2:]
        elif p.HasField("kernel_size") == (p.HasField("kernel_h") and p.HasField("kernel_w")) or (
            sides and p.HasField("kernel_size")
        ):
            self.refuse("the kernel's size is missing or given twice; expected kernel_size, or kernel_h and kernel_w")
        else:
            kernel = (p.kernel_h, p.kernel_w) if sides else (p.kernel_size,) * 2
        stride, pad = self._both("stride"), self._both("pad")
        if p.global_pooling and (stride != (1, 1) or pad != (0, 0)):
            self.refuse("global_pooling with a stride or padding; expected neither")
        if min(kernel) < 1 or min(stride) < 1 or any(b >= k for b, k in zip(pad, kernel, strict=True) if b):
            self.refuse(f"kernel {kernel}, stride {stride}, pad {pad}; expected kernel and stride >= 1, pad < kernel")
        return kernel, stride, pad

    def _both(self, field: str) -> Shape:
        p = self.about.pooling_param
        given = [side for side in (f"{field}_h", f"{field}_w") if p.HasField(side)]
        if not given:
            return (getattr(p, field),) * 2
        if len(given) == 1 or p.HasField(field):
            self.refuse(f"{' and '.join(given)}; expected {field}, or both {field}_h and {field}_w")
        return getattr(p, given[0]), getattr(p, given[1])


def pooled(
    layer: CaffeLayer, g: Graph, x: Value, method: str, geometry: tuple[Shape, Shape, Shape], ceil: bool
) -> list[Value]:
    """Pooling by method; for MAX the places of the winners are the second value."""
    kernel, stride, pad = geometry
    if method == "AVE":
        return [g(ops.MeanPooling(kernel, stride, pad, ceil), x)]
    if method == "STOCHASTIC":
        if any(pad):
            layer.refuse("stochastic pooling with padding; expected none")
        if g.phase is Phase.TEST:
            return [g(ops.StochasticPoolingMean(kernel, stride, ceil), x)]
        op = ops.StochasticPooling(kernel, stride, ceil, stream=stream_of("stochastic pooling", layer.name))
        return [g(op, x, g.scalar("seed"), g.scalar("counter"))]
    pooling = ops.MaxPooling(kernel, stride, pad, ceil)
    y, winners = g.apply(pooling, x)
    return [y, g(ops.WinnerPlaces(pooling), x, winners)] if len(layer.tops) > 1 else [y]


class SPP(CaffeLayer):
    """Pooling at several scales, into as many numbers whatever the image's size (He et al., ECCV 2014)."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """A pooling a level, one behind the other."""
        x, p = inputs[0], self.about.spp_param
        if len(x.shape) != 4 or p.pyramid_height < 1:
            self.misfit(f"the bottom is {x.spec}, pyramid_height {p.pyramid_height}; expected (N, C, H, W) and >= 1")
        levels = []
        for level in range(p.pyramid_height):
            bins = 2**level
            kernel = tuple(-(-n // bins) for n in x.shape[2:])
            pad = tuple((k * bins - n + 1) // 2 for k, n in zip(kernel, x.shape[2:], strict=True))
            if any(b >= k for b, k in zip(pad, kernel, strict=True)):
                self.misfit(f"the bottom is {x.spec}, too small for {bins} x {bins} bins")
            method = type(p).PoolMethod.Name(p.pool)
            levels.append(pooled(self, g, x, method, (kernel, kernel, pad), True)[0])
        if len(levels) == 1:
            return levels
        flat = [reshaped(g, y, (y.shape[0], math.prod(y.shape[1:]))) for y in levels]
        return [g(ops.Concat(1), *flat)]
