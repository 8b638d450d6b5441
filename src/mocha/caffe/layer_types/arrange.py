"""Layers that move elements, pick some of them, or add them up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

from mocha import ops
from mocha.caffe.layer_types.base import Blob, CaffeLayer, reshaped
from mocha.graph import Graph, Value
from mocha.ops import Spec


def _axis_of(layer: CaffeLayer, p: Any, old: str, x: Spec) -> int:
    """The axis, which old files give under another name."""
    if p.HasField(old) and p.HasField("axis"):
        layer.refuse(f"both axis and {old}; expected one of them")
    return layer.axis(getattr(p, old) if p.HasField(old) else p.axis, x)


class Concat(CaffeLayer):
    """One bottom behind the other along an axis."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (1, None)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        axis = _axis_of(self, self.about.concat_param, "concat_dim", inputs[0].spec)
        return [g(ops.Concat(axis), *inputs) if len(inputs) > 1 else g(ops.Identity(), inputs[0])]


class Slice(CaffeLayer):
    """The bottom cut along an axis."""

    top_counts: ClassVar[tuple[int, int | None]] = (1, None)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        p, x = self.about.slice_param, inputs[0]
        axis = _axis_of(self, p, "slice_dim", x.spec)
        size, n = x.shape[axis], len(self.tops)
        points = list(p.slice_point) or [size // n * i for i in range(1, n)]
        cuts = [0, *points, size]
        fits = len(points) == n - 1 and all(a < b for a, b in itertools.pairwise(cuts))
        if not fits or (not p.slice_point and size % n):
            self.refuse(
                f"{n} tops, slice_point {list(p.slice_point)}, and {size} along axis {axis}; expected none where {n} "
                f"divides {size}, or {n - 1} growing numbers below {size}"
            )
        if n == 1:
            return [g(ops.Identity(), x)]
        sizes = tuple(b - a for a, b in itertools.pairwise(cuts))
        return g.apply(ops.Slice(sizes, axis), x)


class Split(CaffeLayer):
    """One blob under several names; their gradients add up."""

    top_counts: ClassVar[tuple[int, int | None]] = (1, None)
    may_be_in_place: ClassVar[bool] = False

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """Views."""
        return [g(ops.Identity(), inputs[0]) for _ in self.tops]


class Flatten(CaffeLayer):
    """Some neighbouring axes become one."""

    may_be_in_place: ClassVar[bool] = False

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """A view."""
        p, x = self.about.flatten_param, inputs[0]
        start, end = self.axis(p.axis, x.spec), self.axis(p.end_axis, x.spec)
        if end < start:
            self.refuse(f"axis {p.axis}, end_axis {p.end_axis}; expected the end not before the start")
        return [g(ops.Reshape((*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])), x)]


class Reshape(CaffeLayer):
    """The same elements under another shape."""

    may_be_in_place: ClassVar[bool] = False

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """A view."""
        p, x = self.about.reshape_param, inputs[0]
        start = p.axis if p.axis >= 0 else len(x.shape) + p.axis + 1
        end = len(x.shape) if p.num_axes == -1 else start + p.num_axes
        if not 0 <= start <= end <= len(x.shape):
            self.refuse(f"axis {p.axis}, num_axes {p.num_axes}; the bottom {x.spec} has not these")
        dims = list(p.shape.dim)
        for i, dim in enumerate(dims):
            if dim == 0:
                if start + i >= end:
                    self.refuse(f"dim {i} of shape is 0, a copy; the bottom {x.spec} has no such axis to copy")
                dims[i] = x.shape[start + i]
        if dims.count(-1) > 1 or min(dims, default=0) < -1:
            self.refuse(f"shape is {list(p.shape.dim)}; expected sizes, 0 for copies, and -1 once at most")
        if -1 in dims:
            others = math.prod(n for n in (*x.shape[:start], *dims, *x.shape[end:]) if n != -1)
            size = math.prod(x.shape)
            if others == 0 or size % others:
                self.misfit(f"the bottom {x.spec} does not divide into shape {list(p.shape.dim)}")
            dims[dims.index(-1)] = size // others
        return [g(ops.Reshape((*x.shape[:start], *dims, *x.shape[end:])), x)]


class Crop(CaffeLayer):
    """A window of the first bottom, of the second one's size from an axis on."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (2, 2)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        p, (x, like) = self.about.crop_param, inputs
        axis = self.axis(p.axis, x.spec)
        if len(x.shape) != len(like.shape):
            self.misfit(f"bottoms are {x.spec} and {like.spec}; expected as many axes of each")
        cropped = len(x.shape) - axis
        if len(p.offset) not in (0, 1, cropped):
            self.refuse(f"{len(p.offset)} offsets; expected none, one, or {cropped}, one a cropped axis")
        offsets = list(p.offset) or [0]
        offsets = offsets * cropped if len(offsets) == 1 else offsets
        starts = (*(0,) * axis, *offsets)
        sizes = (*x.shape[:axis], *like.shape[axis:])
        if any(a + n > m for a, n, m in zip(starts, sizes, x.shape, strict=True)):
            self.misfit(f"a window of {sizes} at {starts} does not lie in the bottom {x.spec}")
        return [g(ops.Window(starts, sizes), x)]


class Tile(CaffeLayer):
    """The bottom repeated along an axis."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        p, x = self.about.tile_param, inputs[0]
        if p.tiles < 1:
            self.refuse(f"tiles is {p.tiles}; expected a number >= 1")
        return [g(ops.Tile(self.axis(p.axis, x.spec), p.tiles), x)]


class Reduction(CaffeLayer):
    """All axes from one on become one number: sum, sum of magnitudes or squares, or mean."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One or two ops, and a factor."""
        p, x = self.about.reduction_param, inputs[0]
        axes = tuple(range(self.axis(p.axis, x.spec), len(x.shape)))
        if p.operation == p.ASUM:
            x = g(ops.Abs(), x)
        reduce = {p.SUMSQ: ops.ReduceSumOfSquares, p.MEAN: ops.ReduceMean}.get(p.operation, ops.ReduceSum)
        y = g(reduce(axes), x)
        return [y if p.coeff == 1 else g(ops.Scale(p.coeff), y)]


class ArgMax(CaffeLayer):
    """The places of the largest elements, of an example or along an axis, and their values."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """The best along an axis."""
        p, x = self.about.argmax_param, inputs[0]
        along = self.axis(p.axis, x.spec) if p.HasField("axis") else 1
        searched = x.shape[along] if p.HasField("axis") else math.prod(x.shape[1:])
        if not 1 <= p.top_k <= searched:
            self.refuse(f"top_k is {p.top_k}; expected 1 to {searched}, what it is searched in")
        if p.HasField("axis"):
            values, places = g.apply(ops.TopK(p.top_k, along), x)
            return [values if p.out_max_val else places]
        values, places = g.apply(ops.TopK(p.top_k, 1), reshaped(g, x, (x.shape[0], searched)))
        trailing = (1,) * max(0, len(x.shape) - 3)
        found = [reshaped(g, v, (x.shape[0], 1, p.top_k, *trailing)) for v in (places, values)]
        return [g(ops.Concat(1), *found) if p.out_max_val else found[0]]


class BatchReindex(CaffeLayer):
    """The first bottom's rows that the second one names."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (2, 2)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        if len(inputs[1].shape) != 1:
            self.misfit(f"the second bottom is {inputs[1].spec}; expected one axis of row numbers")
        return [g(ops.TakeRows(), *inputs)]


class Filter(CaffeLayer):
    """The rows of each bottom for which the last bottom is not 0.

    How many these are is known when the net runs only: `count` says it.

    Args:
        count: rows that are kept; -1 for all, as long as it is not known.
    """

    count: int = -1
    bottom_counts: ClassVar[tuple[int, int | None]] = (2, None)
    top_counts: ClassVar[tuple[int, int | None]] = (1, None)

    def _check_counts(self) -> None:
        super()._check_counts()
        if len(self.tops) != len(self.bottoms) - 1:
            self.refuse(f"{len(self.tops)} tops; expected {len(self.bottoms) - 1}, one less than bottoms")

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op a bottom."""
        *rows, selector = inputs
        if math.prod(selector.shape) != selector.shape[0] or any(x.shape[0] != selector.shape[0] for x in rows):
            self.misfit(f"the selector is {selector.spec}; expected (N, 1, 1, 1), one number a row of each bottom")
        count = selector.shape[0] if self.count < 0 else self.count
        return [g(ops.SelectRows(count), x, selector) for x in rows]


class Silence(CaffeLayer):
    """Nothing: for blobs that nobody wants, so that they are no outputs of the net."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (1, None)
    top_counts: ClassVar[tuple[int, int | None]] = (0, 0)

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """No ops."""
        return []


class Parameter(CaffeLayer):
    """A top that is learned."""

    bottom_counts: ClassVar[tuple[int, int | None]] = (0, 0)

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """The top's values, 0 at first."""
        return [Blob("value", tuple(self.about.parameter_param.shape.dim))]

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """A view."""
        return [g(ops.Identity(), blobs[0])]


class Permute(CaffeLayer):
    """SSD's: the axes in another order."""

    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """One op; axes that are not named follow in their order."""
        rank, order = len(inputs[0].shape), list(self.about.permute_param.order)
        if len(set(order)) != len(order) or max(order, default=0) >= rank:
            self.refuse(f"order is {order}; expected distinct axes of a bottom of {rank}")
        return [g(ops.Transpose((*order, *(axis for axis in range(rank) if axis not in order))), inputs[0])]
