"""What a layer of Caffe is here: a record made of its message, which writes itself as ops into a graph."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

import numpy as np

from mocha import ops
from mocha.caffe.facts import facts
from mocha.caffe.fillers import filler
from mocha.errors import ConfigError, ShapeError
from mocha.graph import Graph, Value
from mocha.layers import Borrowed, Layer
from mocha.ops import Array, Shape, Spec
from mocha.parameters import ConstantInitializer, Initializer, L2Regu, NoCons, NoRegu, ParameterSpec

_ZERO = ConstantInitializer(0.0)


@dataclasses.dataclass(frozen=True)
class Blob:
    """One of the arrays that a layer keeps, in the order in which files have them.

    Attributes:
        name: what Mocha calls it: filter, weight, bias, ...
        shape: its shape.
        init: its first values.
        learned: whether it has a gradient: running statistics have none.
    """

    name: str
    shape: Shape
    init: Initializer = _ZERO
    learned: bool = True


class CaffeLayer(Layer):
    """A layer of a Caffe net.

    Args:
        about: its message, a `LayerParameter`.
        param_key: under which its blobs are kept.
        loss_weights: for each top what it counts in the objective.
        owners: for each blob the parameter of an earlier layer that it is, or None.
    """

    about: Any
    param_key: str = ""
    loss_weights: Sequence[float] = ()
    owners: Sequence[Borrowed | None] = ()

    bottom_counts: ClassVar[tuple[int, int | None]] = (1, 1)
    """The smallest and the largest number of bottoms; None for no bound."""
    top_counts: ClassVar[tuple[int, int | None]] = (1, 1)
    """The smallest and the largest number of tops."""
    is_loss: ClassVar[bool] = False
    """Whether the first top counts in the objective, unless told otherwise."""
    may_be_in_place: ClassVar[bool] = True
    """Caffe refuses the layer in place where this is False."""

    @property
    def kind(self) -> str:
        """The type as the message has it."""
        return str(self.about.type)

    def tell(self) -> tuple[str, list[str]]:
        """Type and properties as the message has them."""
        return self.kind, facts(self.about)

    def _check_counts(self) -> None:
        for what, names, (low, high) in (
            ("bottom", self.bottoms, self.bottom_counts),
            ("top", self.tops, self.top_counts),
        ):
            if len(names) < low or (high is not None and len(names) > high):
                expected = f"{low}" if low == high else f"at least {low}" if high is None else f"{low} to {high}"
                self.refuse(f"{len(names)} {what}s ({', '.join(names) or 'none'}); expected {expected}")
        if not self.may_be_in_place and set(self.bottoms) & set(self.tops):
            self.refuse(f"the top {self.tops[0]!r} is its bottom too; this layer cannot work in place")

    def refuse(self, what: str) -> NoReturn:
        """Say that the layer cannot be.

        Raises:
            ConfigError: always; it names the layer and its type.
        """
        raise ConfigError(f"layer {self.name!r} ({self.kind}): {what}.")

    def misfit(self, what: str) -> NoReturn:
        """Say that what comes in has the wrong shape.

        Raises:
            ShapeError: always; it names the layer and its type.
        """
        raise ShapeError(f"layer {self.name!r} ({self.kind}): {what}.")

    def axis(self, axis: int, x: Spec) -> int:
        """An axis counted from the front."""
        if not -x.ndim <= axis < x.ndim:
            self.misfit(f"axis {axis} does not exist in a bottom of {x}")
        return axis % x.ndim

    def filled(self, name: str, shape: Sequence[int], message: Any, field: str, default: float = 0.0) -> Blob:
        """A blob with the filler that a field of the layer's own message describes, if it is there."""
        given = getattr(message, field) if message.HasField(field) else None
        where = f"layer {self.name!r} ({self.kind}), {field}"
        return Blob(name, tuple(shape), filler(given, where, default))

    # -- what a kind of layer says

    def blobs(self, *inputs: Spec) -> Sequence[Blob]:
        """The arrays that it keeps, given the specs of the bottoms. The base keeps none."""
        return ()

    @abstractmethod
    def compute(self, g: Graph, inputs: Sequence[Value], blobs: Sequence[Value]) -> Sequence[Value]:
        """Write it into the graph; gives the values of the tops."""

    def shown(self, array: Array) -> Array:
        """What a user sees of a top: less than was computed, where the number of results depends on the data."""
        return array

    # -- what Mocha's nets ask

    def _owner(self, i: int) -> Borrowed | None:
        return self.owners[i] if i < len(self.owners) else None

    def parameters(self, *inputs: Spec) -> Sequence[ParameterSpec]:
        """The blobs that are the layer's own."""
        specs = inputs[: len(self.bottoms)]
        wanted = self.blobs(*specs)
        if len(self.about.param) > len(wanted):
            self.refuse(f"{len(self.about.param)} param entries; expected at most {len(wanted)}, one a blob")
        dtype = specs[0].dtype if specs else np.dtype(np.float32)
        found = []
        for i, blob in enumerate(wanted):
            if self._owner(i) is None:
                rate, decay = multipliers(self.about, i)
                regularizer = L2Regu(decay / 2) if decay else NoRegu()  # Mocha's L2 is twice Caffe's
                learns = rate if blob.learned else 0.0
                spec = Spec(blob.shape, dtype)
                found.append(
                    ParameterSpec(blob.name, spec, blob.init, regularizer, NoCons(), learns, learned=blob.learned)
                )
        return found

    def borrows(self) -> Sequence[Borrowed]:
        """The blobs that belong to earlier layers."""
        return [owner for owner in self.owners if owner is not None]

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """The tops, and what they count in the objective."""
        wanted = self.blobs(*(x.spec for x in inputs))
        lent = sum(self._owner(i) is not None for i in range(len(wanted)))
        own, borrowed = iter(params[: len(params) - lent]), iter(params[len(params) - lent :])
        blobs = []
        for i, blob in enumerate(wanted):
            value = next(own) if self._owner(i) is None else next(borrowed)
            if value.shape != blob.shape:
                value = self._reshaped(g, value, blob, i)
            blobs.append(value)
        stopped = [
            g(ops.StopGradient(), x) if i < len(self.about.propagate_down) and not self.about.propagate_down[i] else x
            for i, x in enumerate(inputs)
        ]
        tops = list(self.compute(g, stopped, blobs))
        for top, value, weight in zip(self.tops, tops, self.loss_weights, strict=False):
            if weight:
                total = g(ops.ReduceSum(), value) if value.shape else value
                g.objective(top, g(ops.Scale(float(weight)), total) if weight != 1 else total)
        return tops

    def _reshaped(self, g: Graph, value: Value, blob: Blob, i: int) -> Value:
        """A shared blob of another shape, where sharing is permissive."""
        spec = self.about.param[i]
        permissive = spec.share_mode == type(spec).PERMISSIVE
        if not permissive or Spec(value.shape, value.dtype).size != Spec(blob.shape, value.dtype).size:
            self.misfit(
                f"blob {i} shares {spec.name!r}, which has shape {value.shape}; expected {blob.shape}"
                + ("" if permissive else " (share_mode: PERMISSIVE would allow another shape of as many elements)")
            )
        return g(ops.Reshape(blob.shape), value)


def multipliers(about: Any, i: int) -> tuple[float, float]:
    """`lr_mult` and `decay_mult` of a layer's blob."""
    if i < len(about.param):
        return about.param[i].lr_mult, about.param[i].decay_mult
    return 1.0, 1.0


def reshaped(g: Graph, x: Value, shape: Sequence[int]) -> Value:
    """The same elements under another shape; nothing where it is that already."""
    return x if x.shape == tuple(shape) else g(ops.Reshape(tuple(shape)), x)
