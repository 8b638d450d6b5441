"""Batch normalisation in training with all that residual nets have behind it, as one op."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_axis, check_float
from mocha.ops.batch_norm import BatchNormTest, BatchNormTrain, ScaleChannels
from mocha.ops.pointwise import AddBias, ReLU

Indices = tuple[Sequence[int], Sequence[int]]


def _spread(values: Array, ndim: int) -> Array:
    """(C) so that it broadcasts along the channels."""
    return values.reshape([-1 if i == 1 else 1 for i in range(ndim)])


def _sums(a: Array) -> Array:
    """The sum of each channel, as (C) of float64."""
    return np.asarray(a.sum(axis=tuple(i for i in range(a.ndim) if i != 1), dtype=np.float64))


@dataclasses.dataclass(frozen=True)
class BatchNormUnit(Op):
    """y = f(scale n + shift + other) with n = (x - mean) / sqrt(var + eps): one op for what would be up to five.

    Mean and var are the statistics of each channel in this batch, the second and third output, as `BatchNormTrain` has
    them; scale and shift are one number a channel, as in `ScaleChannels` and `AddBias`; f(z) is max(z, 0) or z; without
    `residual` there is no other. Layers do not use it: `mocha.graph.passes.fuse_units` writes it into the programs of
    backends that have a kernel for it, which reads and writes each blob far less often than the ops one by one do.

    Shapes: x (N, C, ...), scale (C), shift (C), other like x -> y like x, mean (C), var (C).

    Gradient: with dz = dy where y > 0, else 0 (all of dy without `relu`), and sums and means over all axes but the
    channels, in float64: dother = dz, dshift = sum dz, dscale = sum dz n, and
    dx = scale / sqrt(var + eps) (dz - mean dz - n mean(dz n)). (Ioffe and Szegedy, "Batch normalization: accelerating
    deep network training by reducing internal covariate shift", ICML 2015; the sum and the ReLU stand as in He, Zhang,
    Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.)

    Args:
        eps: added to the variance, > 0.
        relu: whether negative results become 0.
        residual: whether another blob is added before that.
    """

    eps: float = 1e-5
    relu: bool = False
    residual: bool = False
    n_aux: ClassVar[int] = 2

    @property
    def overwrites(self) -> tuple[tuple[int, int], ...]:  # type: ignore[override]
        """The result may take over the other blob's memory, but not that of x, which backward reads."""
        return ((0, 3),) if self.residual else ()

    def infer(self, x: Spec, scale: Spec, shift: Spec, *other: Spec) -> tuple[Spec, Spec, Spec]:
        """(N, C, ...), (C), (C)[, (N, C, ...)] -> (N, C, ...), (C), (C)."""
        check_float(self, x)
        channels = Spec((x.shape[check_axis(self, 1, x)],), x.dtype)
        if len(other) != self.residual:
            raise ShapeError(f"{self}: received {3 + len(other)} inputs; expected {3 + self.residual}.")
        expected = {"scale": channels, "shift": channels, "other blob": x}
        for (what, wish), spec in zip(expected.items(), (scale, shift, *other), strict=False):
            if spec != wish:
                raise ShapeError(f"{self.name}: the {what} is {spec}; expected {wish} for an input of {x}.")
        return x, channels, channels

    def forward(self, x: Array, scale: Array, shift: Array, *other: Array) -> tuple[Array, Array, Array]:
        """By the ops that it stands for."""
        n, mean, var = BatchNormTrain(self.eps).forward(x)
        with np.errstate(all="ignore"):
            y = AddBias().forward(ScaleChannels().forward(n, scale), shift)
            for more in other:
                y = y + more
        return (ReLU().forward(y) if self.relu else y), mean, var

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """The gradient behind the sum; what it is for scale and shift; and what mean and variance take away of it."""
        x, scale = inputs[:2]
        y, mean, var = outputs
        # a copy: dx may be written over dy before dz is written
        dz = ReLU().backward(grads, [], [y], [True]) if self.relu else grads[0].copy()
        given: list[Array | None] = [None, None, None, dz][: len(wanted)]
        if not any(wanted[:3]):
            return given
        with np.errstate(all="ignore"):
            n = BatchNormTest(self.eps).forward(x, mean, var)
            dshift, dscale = _sums(dz), _sums(dz * n)
            if wanted[0]:
                count = x.size // max(x.shape[1], 1)
                taken, slope = (_spread((total / count).astype(x.dtype), x.ndim) for total in (dshift, dscale))
                factor = scale / np.sqrt(var + x.dtype.type(self.eps))
                given[0] = np.asarray(_spread(factor, x.ndim) * (dz - taken - n * slope))
        given[1:3] = dscale.astype(x.dtype), dshift.astype(x.dtype)
        return given

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Blob and scale; the statistics, and the result if a ReLU made it."""
        return (0, 1), ((0, 1, 2) if self.relu else (1, 2))

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A sum; a difference, a square and a sum; a product; a product and a sum; the other blob's, the ReLU's."""
        return (7 + self.residual + self.relu) * inputs[0].size
