"""The decoder that shares its weight with an encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mocha import ops
from mocha.errors import ShapeError
from mocha.graph import Graph, Value
from mocha.layers.base import Borrowed
from mocha.layers.trainable import TrainableLayer
from mocha.ops import Spec
from mocha.parameters import ParameterSpec


class TiedInnerProductLayer(TrainableLayer):
    """y = neuron(h W + b), with W the weight of an `InnerProductLayer`: the decoder to its encoder.

    The encoder is in the same net, in any order, or in another one on the same backend that was made before. The
    layer's own parameter is the bias.

    Shapes: bottom (N, ...) with as many elements an example as the encoder has outputs -> top (N, in), in being the
    number of the encoder's inputs; bias (in).

    Args:
        tied_param_key: the encoder's `param_key`, or its name if it has none.
        tied_gradient: whether the weight gets its gradient through this layer too: the true one. Without, as in Mocha,
            it learns by way of the encoder alone.

    Examples:
        >>> encode = InnerProductLayer(name="encode", output_dim=2, neuron=Neurons.Tanh(), bottoms=["x"], tops=["code"])
        >>> decode = TiedInnerProductLayer(name="decode", tied_param_key="encode", bottoms=["code"], tops=["again"])
        >>> made = run_layers(encode, decode, x=np.ones((4, 5)))
        >>> made["code"].shape, made["again"].shape
        ((4, 2), (4, 5))
    """

    tied_param_key: str
    tied_gradient: bool = False

    def check(self) -> None:
        """Property by property."""
        super().check()
        self.check_parameter("bias")
        if not isinstance(self.tied_param_key, str) or not self.tied_param_key:
            self.wrong("tied_param_key", self.tied_param_key, "the param_key or name of an InnerProductLayer")
        if self.tied_param_key == self.key:
            self.wrong("tied_param_key", self.tied_param_key, "another key than the layer's own")
        if not isinstance(self.tied_gradient, bool):
            self.wrong("tied_gradient", self.tied_gradient, "True or False")

    def borrows(self) -> Sequence[Borrowed]:
        """The encoder's weight."""
        return [Borrowed(self.tied_param_key, "weight", self.tied_gradient)]

    def parameters(self, *inputs: Spec) -> Sequence[ParameterSpec]:
        """The bias."""
        *bottoms, weight = inputs
        if weight.ndim != 2 or any(math.prod(x.shape[1:]) != weight.shape[0] for x in bottoms):
            raise ShapeError(
                f"bottoms are {', '.join(map(str, bottoms))}, the weight of {self.tied_param_key!r} is {weight}; "
                "expected as many features as it has rows."
            )
        return self.bias(weight.shape[1], bottoms[0])

    def lower(self, g: Graph, inputs: Sequence[Value], params: Sequence[Value]) -> Sequence[Value]:
        """Product, bias, neuron."""
        *own, weight = params
        if not self.tied_gradient:
            weight = g(ops.StopGradient(), weight)
        return [self.finish(g, g(ops.TransposedInnerProduct(), x, weight), own) for x in inputs]
