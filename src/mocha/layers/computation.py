"""Layers that compute, without parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from mocha import ops
from mocha.graph import Graph, Phase, Value
from mocha.layers.base import Layer, as_pair, class_axis, dimension, finite, pair
from mocha.layers.neurons import Identity, Neuron, check_neuron
from mocha.ops import Op, Shape, Spec
from mocha.random import stream_of


@dataclasses.dataclass(frozen=True)
class MaxPoolingFunction:
    """The largest element of a window."""


@dataclasses.dataclass(frozen=True)
class MeanPoolingFunction:
    """The mean of a window."""


class Pooling:
    """The pooling functions under Mocha's names: `Pooling.Max()`, `Pooling.Mean()`."""

    Max: TypeAlias = MaxPoolingFunction
    Mean: TypeAlias = MeanPoolingFunction


def check_pooling(layer: Layer, pooling: object) -> None:
    """The property must be a pooling function."""
    if not isinstance(pooling, (MaxPoolingFunction, MeanPoolingFunction)):
        layer.wrong("pooling", pooling, "Pooling.Max() or Pooling.Mean()")


class PoolingLayer(Layer):
    """The maximum or the mean of each window.

    Shapes: bottom (N, C, H, W) -> top (N, C, H', W'), with H' = ceil((H + 2 pad - kernel) / stride) + 1, less one if
    there is padding and the last window would start in it; rounded down without `ceil`. Borders, ties and the mean's
    divisor are Caffe's: see `mocha.ops.MaxPooling` and `mocha.ops.MeanPooling`.

    Args:
        kernel: (height, width), or one number for both, >= 1. (Mocha.jl's order is (width, height).)
        stride: (height, width), or one number for both, >= 1.
        pad: (height, width), or one number for both, smaller than the kernel.
        pooling: Pooling.Max() or Pooling.Mean().
        ceil: round the number of windows up, as Mocha and Caffe do, or down, as PyTorch does.
        global_pooling: one window, the whole image, whatever its size: H' = W' = 1. There is no kernel, stride and pad
            then.
        neuron: the activation of the output.

    Examples:
        >>> image = np.arange(16).reshape(1, 1, 4, 4)
        >>> run_layers(PoolingLayer(kernel=2, stride=2, bottoms=["x"], tops=["y"]), x=image)["y"]
        array([[[[ 5.,  7.],
                 [13., 15.]]]])
        >>> mean = PoolingLayer(kernel=2, stride=2, pooling=Pooling.Mean(), bottoms=["x"], tops=["y"])
        >>> run_layers(mean, x=image)["y"]
        array([[[[ 2.5,  4.5],
                 [10.5, 12.5]]]])
        >>> whole = PoolingLayer(global_pooling=True, pooling=Pooling.Mean(), bottoms=["x"], tops=["y"])
        >>> run_layers(whole, x=image)["y"]
        array([[[[7.5]]]])
    """

    name: str = "pooling"
    kernel: int | tuple[int, int] = (1, 1)
    stride: int | tuple[int, int] = (1, 1)
    pad: int | tuple[int, int] = (0, 0)
    pooling: MaxPoolingFunction | MeanPoolingFunction = MaxPoolingFunction()
    ceil: bool = True
    global_pooling: bool = False
    neuron: Neuron = Identity()

    def check(self) -> None:
        """Property by property."""
        pair(self, "kernel", 1)
        pair(self, "stride", 1)
        pair(self, "pad", 0)
        if any(p >= k for p, k in zip(as_pair(self.pad), as_pair(self.kernel), strict=True)):
            self.wrong("pad", self.pad, f"less than the kernel, {self.kernel}")
        for field in ("ceil", "global_pooling"):
            if not isinstance(getattr(self, field), bool):
                self.wrong(field, getattr(self, field), "True or False")
        for field in ("kernel", "stride"):
            if self.global_pooling and getattr(self, field) != (1, 1):
                self.wrong(field, getattr(self, field), "none, for with global_pooling the window is the whole image")
        check_pooling(self, self.pooling)
        check_neuron(f"{type(self).__name__}({self.name!r})", self.neuron)

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """Pooling, neuron."""
        kind = ops.MaxPooling if isinstance(self.pooling, MaxPoolingFunction) else ops.MeanPooling
        return [self.neuron.lower(g, g(kind(*self._windows(x.spec), self.ceil), x)) for x in inputs]

    def _windows(self, x: Spec) -> tuple[Shape, Shape, Shape]:
        """Kernel, stride and pad."""
        if self.global_pooling and x.ndim == 4:
            return x.shape[2:], (1, 1), (0, 0)
        return as_pair(self.kernel), as_pair(self.stride), as_pair(self.pad)


class SoftmaxLayer(Layer):
    """Scores become a distribution along one axis.

    Args:
        dim: the axis of the classes, from 0 for the batch; not the batch.

    Examples:
        >>> run_layers(SoftmaxLayer(bottoms=["scores"], tops=["p"]), scores=[[0, 0], [0, 1]])["p"]
        array([[0.5   , 0.5   ],
               [0.2689, 0.7311]])
    """

    name: str = "softmax"
    dim: int = 1

    def check(self) -> None:
        """Property by property."""
        class_axis(self)

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op a bottom."""
        return [g(ops.Softmax(self.dim), x) for x in inputs]


class DropoutLayer(Layer):
    """In training, each element becomes 0 with probability `ratio`; in testing the layer does nothing. In place.

    (Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural networks
    from overfitting", JMLR 15, 2014.)

    Args:
        ratio: probability of dropping, 0 < ratio < 1.
        auto_scale: multiply what stays by 1 / (1 - ratio), so that the expectation is kept.

    Examples:
        >>> dropout = DropoutLayer(ratio=0.25, bottoms=["x"])
        >>> x = run_layers(dropout, x=np.ones((1, 1000)))["x"]
        >>> np.unique(x), bool(0.2 < np.mean(x == 0) < 0.3)
        (array([0.    , 1.3333]), True)
        >>> run_layers(dropout, phase="test", x=[[1, 2, 3]])["x"]
        array([[1., 2., 3.]])
    """

    name: str = "dropout"
    ratio: float = 0.5
    auto_scale: bool = True
    in_place: ClassVar[bool] = True
    n_bottoms: ClassVar[int | None] = 1

    def check(self) -> None:
        """Property by property."""
        _check_ratio(self, self.ratio)

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op in training, none in testing."""
        if g.phase is Phase.TEST:
            return inputs
        scale = 1 / (1 - self.ratio) if self.auto_scale else 1.0
        op = ops.Dropout(self.ratio, scale, stream_of("dropout", self.name, *self.bottoms))
        return [g(op, inputs[0], g.scalar("seed"), g.scalar("counter"))]


class RandomMaskLayer(Layer):
    """In training, each element becomes 0 with probability `ratio`, the others stay as they are. In place.

    `DropoutLayer` without scaling, on any number of blobs, each with a mask of its own: what a denoising auto-encoder
    corrupts its input with. In testing the layer does nothing.

    Args:
        ratio: probability of becoming 0, 0 < ratio < 1.

    Examples:
        >>> x = run_layers(RandomMaskLayer(ratio=0.25, bottoms=["x"]), x=np.ones((1, 1000)))["x"]
        >>> np.unique(x), bool(0.2 < np.mean(x == 0) < 0.3)
        (array([0., 1.]), True)
    """

    name: str = "random-mask"
    ratio: float = 0.5
    in_place: ClassVar[bool] = True

    def check(self) -> None:
        """Property by property."""
        _check_ratio(self, self.ratio)
        if len(set(self.bottoms)) != len(self.bottoms):
            self.wrong("bottoms", list(self.bottoms), "distinct names")

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op a bottom in training, none in testing."""
        if g.phase is Phase.TEST:
            return inputs
        draw = g.scalar("seed"), g.scalar("counter")
        streams = [stream_of("random-mask", self.name, bottom) for bottom in self.bottoms]
        return [g(ops.Dropout(self.ratio, 1.0, s), x, *draw) for s, x in zip(streams, inputs, strict=True)]


def _check_ratio(layer: Layer, ratio: object) -> None:
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0 < ratio < 1:
        layer.wrong("ratio", ratio, "a probability between 0 and 1, both excluded")


class PowerLayer(Layer):
    """y = (scale x + shift)^power, element by element; see `mocha.ops.Power` for zero and negative bases.

    Args:
        power: the exponent, any real number.
        scale: factor of x.
        shift: what is added to the scaled x.

    Examples:
        >>> run_layers(PowerLayer(power=2, scale=3, shift=1, bottoms=["x"], tops=["y"]), x=[[0, 1, 2]])["y"]
        array([[ 1., 16., 49.]])
    """

    name: str = "power"
    power: float = 1.0
    scale: float = 1.0
    shift: float = 0.0

    def check(self) -> None:
        """Property by property."""
        for field in ("power", "scale", "shift"):
            finite(self, field)

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op a bottom."""
        op = ops.Power(float(self.power), float(self.scale), float(self.shift))
        return [g(op, x) for x in inputs]


class SplitLayer(Layer):
    """One blob under several names. The gradients of all tops add up in the bottom's.

    A blob may have any number of readers in any case; a split gives an in-place layer a blob of its own. What it does
    to one top changes neither the other tops nor the bottom: no data move, unless such a layer makes it necessary.

    Args:
        no_copy: accepted for Mocha's sake; it has no effect.

    Examples:
        >>> split = SplitLayer(bottoms=["x"], tops=["clean", "corrupt"])
        >>> mask = RandomMaskLayer(ratio=0.9, bottoms=["corrupt"])
        >>> made = run_layers(split, mask, x=np.ones((1, 200)))
        >>> int(made["clean"].sum()), bool(made["corrupt"].sum() < 60)
        (200, True)
    """

    name: str = "split"
    no_copy: bool = False
    n_bottoms: ClassVar[int | None] = 1

    def _check_counts(self) -> None:
        if len(self.bottoms) != 1:
            self.wrong("bottoms", list(self.bottoms), "1 blob name")
        if not self.tops or len(set(self.tops)) != len(self.tops):
            self.wrong("tops", list(self.tops), "one or more distinct blob names")

    def check(self) -> None:
        """Property by property."""
        if not isinstance(self.no_copy, bool):
            self.wrong("no_copy", self.no_copy, "True or False")

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One view a top."""
        return [g(ops.Identity(), inputs[0]) for _ in self.tops]


class ElementWiseFunctors:
    """The operations of `ElementWiseLayer` under Mocha's names."""

    Add: TypeAlias = ops.Add
    Subtract: TypeAlias = ops.Subtract
    Multiply: TypeAlias = ops.Multiply
    Divide: TypeAlias = ops.Divide


class ElementWiseLayer(Layer):
    """Two bottoms of one shape become one top, element by element.

    Args:
        operation: ElementWiseFunctors.Add(), Subtract(), Multiply() or Divide().
        neuron: the activation of the output.

    Examples:
        >>> layer = ElementWiseLayer(operation=ElementWiseFunctors.Multiply(), bottoms=["a", "b"], tops=["y"])
        >>> run_layers(layer, a=[[1, 2, 3]], b=[[4, 5, 6]])["y"]
        array([[ 4., 10., 18.]])
    """

    name: str = "element-wise"
    operation: Op = ops.Add()
    neuron: Neuron = Identity()
    n_bottoms: ClassVar[int | None] = 2
    n_tops: ClassVar[int | None] = 1

    def check(self) -> None:
        """Property by property."""
        if not isinstance(self.operation, (ops.Add, ops.Subtract, ops.Multiply, ops.Divide)):
            self.wrong("operation", self.operation, "ElementWiseFunctors.Add(), Subtract(), Multiply() or Divide()")
        check_neuron(f"{type(self).__name__}({self.name!r})", self.neuron)

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op, neuron."""
        return [self.neuron.lower(g, g(self.operation, *inputs))]


class ConcatLayer(Layer):
    """Two or more bottoms, equal on all other axes, one behind the other along one axis.

    Args:
        dim: the axis that grows, from 0 for the batch.

    Examples:
        >>> run_layers(ConcatLayer(bottoms=["a", "b"], tops=["y"]), a=[[1, 2]], b=[[3]])["y"]
        array([[1., 2., 3.]])
    """

    name: str = "concat"
    dim: int = 1
    n_tops: ClassVar[int | None] = 1

    def check(self) -> None:
        """Property by property."""
        dimension(self, "dim")
        if len(self.bottoms) < 2:
            self.wrong("bottoms", list(self.bottoms), "at least two blob names")

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One op."""
        return [g(ops.Concat(self.dim), *inputs)]


class ReshapeLayer(Layer):
    """The same elements under another shape; no data moves.

    Args:
        shape: the new shape of an example, without the batch axis, row-major: (C, H, W). (Mocha.jl's is reversed.)

    Examples:
        >>> run_layers(ReshapeLayer(shape=(2, 3), bottoms=["x"], tops=["y"]), x=[[1, 2, 3, 4, 5, 6]])["y"]
        array([[[1., 2., 3.],
                [4., 5., 6.]]])
    """

    name: str = "reshape"
    shape: tuple[int, ...]

    def check(self) -> None:
        """Property by property."""
        shape = self.shape
        if not isinstance(shape, (tuple, list)) or any(not isinstance(n, int) or n < 1 for n in shape):
            self.wrong("shape", shape, "the positive extents of an example, without the batch")
        self.settle("shape", tuple(shape))

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One view a bottom."""
        return [g(ops.Reshape((x.shape[0], *self.shape)), x) for x in inputs]


class IdentityLayer(Layer):
    """The same blob under another name; no data moves.

    Examples:
        >>> run_layers(IdentityLayer(bottoms=["x"], tops=["y"]), x=[[1, 2]])["y"]
        array([[1., 2.]])
    """

    name: str = "identity"

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """One view a bottom."""
        return [g(ops.Identity(), x) for x in inputs]
