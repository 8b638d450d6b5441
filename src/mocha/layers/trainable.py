"""Layers with parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mocha import ops
from mocha.errors import ShapeError
from mocha.graph import Graph, Value
from mocha.layers.base import Layer, as_pair, number, pair, positive_int
from mocha.layers.neurons import Identity, Neuron, check_neuron
from mocha.ops import Spec
from mocha.parameters import (
    ConstantInitializer,
    Constraint,
    Initializer,
    L2Regu,
    NoCons,
    NoRegu,
    ParameterSpec,
    Regularizer,
    XavierInitializer,
)


class TrainableLayer(Layer):
    """What layers with parameters share: the key under which they are kept, and the bias.

    Args:
        param_key: layers with the same key, in one net or in several on one backend, share their parameters; empty
            for the layer's name.
        neuron: the activation of the output.
        bias_term: whether there is a bias.
        bias_init: first values of the bias.
        bias_regu: penalty on the bias.
        bias_cons: bound on the bias.
        bias_lr: multiple of the learning rate for the bias.
    """

    param_key: str = ""
    neuron: Neuron = Identity()
    bias_term: bool = True
    bias_init: Initializer = ConstantInitializer(0.0)
    bias_regu: Regularizer = NoRegu()
    bias_cons: Constraint = NoCons()
    bias_lr: float = 2.0

    def check(self) -> None:
        """The common properties."""
        check_neuron(f"{type(self).__name__}({self.name!r})", self.neuron)
        number(self, "bias_lr")

    def check_parameter(self, prefix: str) -> None:
        """The four properties of one parameter: `<prefix>_init`, `_regu`, `_cons` and `_lr`."""
        kinds = {"init": Initializer, "regu": Regularizer, "cons": Constraint}
        for suffix, kind in kinds.items():
            value = getattr(self, f"{prefix}_{suffix}")
            if not isinstance(value, kind):
                self.wrong(f"{prefix}_{suffix}", value, f"an instance of a {kind.__name__.lower()} class")
        number(self, f"{prefix}_lr")

    @property
    def key(self) -> str:
        """The key under which the parameters are kept."""
        return self.param_key or self.name

    def bias(self, n: int, like: Spec) -> list[ParameterSpec]:
        """The bias, of shape (n), if there is one."""
        if not self.bias_term:
            return []
        about = self.bias_init, self.bias_regu, self.bias_cons, float(self.bias_lr)
        return [ParameterSpec("bias", Spec((n,), like.dtype), *about)]

    def finish(self, g: Graph, y: Value, params: Sequence[Value], axis: int = 1) -> Value:
        """Bias, if there is one, and neuron."""
        if self.bias_term:
            y = g(ops.AddBias(axis), y, params[-1])
        return self.neuron.lower(g, y)


class InnerProductLayer(TrainableLayer):
    """y = neuron(x W^T + b): every output is a weighted sum of all inputs of its example.

    Several bottoms go through the same weights, each to its top; they may differ in all but the number of features.

    Shapes: bottom (N, ...) with D elements an example -> top (N, output_dim); weight (output_dim, D),
    bias (output_dim).

    Args:
        output_dim: number of outputs, >= 1.
        weight_init: first values of the weight.
        weight_regu: penalty on the weight.
        weight_cons: bound on the weight.
        weight_lr: multiple of the learning rate for the weight.

    Examples:
        >>> layer = InnerProductLayer(
        ...     name="ip", output_dim=2, weight_init=ConstantInitializer(0.5), bias_init=ConstantInitializer(1),
        ...     neuron=Neurons.ReLU(), bottoms=["x"], tops=["y"],
        ... )
        >>> run_layers(layer, x=[[1, 2, 3], [-4, 0, 0]])["y"]
        array([[4., 4.],
               [0., 0.]])
    """

    output_dim: int
    weight_init: Initializer = XavierInitializer()
    weight_regu: Regularizer = L2Regu(1.0)
    weight_cons: Constraint = NoCons()
    weight_lr: float = 1.0

    def check(self) -> None:
        """Property by property."""
        super().check()
        positive_int(self, "output_dim")
        self.check_parameter("weight")
        self.check_parameter("bias")

    def parameters(self, *inputs: Spec) -> Sequence[ParameterSpec]:
        """Weight and bias."""
        features = {math.prod(x.shape[1:]) for x in inputs}
        if len(features) != 1 or len({x.dtype for x in inputs}) != 1:
            raise ShapeError(
                f"bottoms are {', '.join(map(str, inputs))}; expected the same number of features and one type."
            )
        spec = Spec((self.output_dim, features.pop()), inputs[0].dtype)
        about = self.weight_init, self.weight_regu, self.weight_cons, float(self.weight_lr)
        return [ParameterSpec("weight", spec, *about), *self.bias(self.output_dim, inputs[0])]

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """Product, bias, neuron."""
        return [self.finish(g, g(ops.InnerProduct(), x, params[0]), params) for x in inputs]


class ConvolutionLayer(TrainableLayer):
    """y = neuron(cross-correlation of x with the filters + b).

    Several bottoms of one shape go through the same filters, each to its top.

    Shapes: bottom (N, C, H, W) -> top (N, n_filter, H', W') with
    H' = floor((H + 2 pad - (dilation (kernel - 1) + 1)) / stride) + 1; filter (n_filter, C / n_group, kernel height,
    kernel width), bias (n_filter).

    Args:
        kernel: (height, width), or one number for both, >= 1. (Mocha.jl's order is (width, height).)
        stride: (height, width), or one number for both, >= 1.
        pad: zeros added on each side, (height, width), or one number for both, >= 0.
        dilation: distance of neighbouring filter taps, (height, width), or one number for both, >= 1.
        n_filter: number of filters, >= 1.
        n_group: number of independent groups; divides the channels and the filters.
        filter_init: first values of the filters.
        filter_regu: penalty on the filters.
        filter_cons: bound on the filters.
        filter_lr: multiple of the learning rate for the filters.

    Examples:
        >>> layer = ConvolutionLayer(name="conv", n_filter=8, kernel=(5, 3), stride=2, pad=1, bottoms=["x"], tops=["y"])
        >>> run_layers(layer, x=np.zeros((10, 3, 32, 32)))["y"].shape
        (10, 8, 15, 16)
        >>> ones = ConstantInitializer(1)
        >>> sums = ConvolutionLayer(name="sums", kernel=(1, 3), filter_init=ones, bottoms=["x"], tops=["y"])
        >>> run_layers(sums, x=[[[[1, 2, 3, 4, 5]]]])["y"]
        array([[[[ 6.,  9., 12.]]]])
    """

    n_filter: int = 1
    kernel: int | tuple[int, int] = (1, 1)
    stride: int | tuple[int, int] = (1, 1)
    pad: int | tuple[int, int] = (0, 0)
    dilation: int | tuple[int, int] = (1, 1)
    n_group: int = 1
    filter_init: Initializer = XavierInitializer()
    filter_regu: Regularizer = L2Regu(1.0)
    filter_cons: Constraint = NoCons()
    filter_lr: float = 1.0

    def check(self) -> None:
        """Property by property."""
        super().check()
        for field in ("n_filter", "n_group"):
            positive_int(self, field)
        for field in ("kernel", "stride", "dilation"):
            pair(self, field, 1)
        pair(self, "pad", 0)
        if self.n_filter % self.n_group:
            self.wrong("n_group", self.n_group, f"a divisor of n_filter, {self.n_filter}")
        self.check_parameter("filter")
        self.check_parameter("bias")

    def parameters(self, *inputs: Spec) -> Sequence[ParameterSpec]:
        """Filter and bias."""
        x = inputs[0]
        if len(set(inputs)) != 1 or x.ndim != 4 or x.shape[1] % self.n_group:
            raise ShapeError(
                f"bottoms are {', '.join(map(str, inputs))}; expected one shape (N, C, H, W), with C divisible by "
                "n_group, "
                f"{self.n_group}."
            )
        spec = Spec((self.n_filter, x.shape[1] // self.n_group, *as_pair(self.kernel)), x.dtype)
        about = self.filter_init, self.filter_regu, self.filter_cons, float(self.filter_lr)
        return [ParameterSpec("filter", spec, *about), *self.bias(self.n_filter, x)]

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """Convolution, bias, neuron."""
        op = ops.Convolution(as_pair(self.stride), as_pair(self.pad), as_pair(self.dilation), self.n_group)
        return [self.finish(g, g(op, x, params[0]), params) for x in inputs]
