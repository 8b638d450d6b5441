"""The pointwise family: each output element depends on one element of each input."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha.errors import ShapeError
from mocha.ops.base import Array, Op, Spec, check_axis, check_float, check_same

Indices = tuple[Sequence[int], Sequence[int]]


class Unary(Op):
    """One input, one output of the same shape. NaN and infinity pass through as in the formula."""

    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, x: Spec) -> Spec:
        """Any shape, kept."""
        check_float(self, x)
        return x


class FromOutput(Unary):
    """A function whose derivative is known from its value, so that its input may be forgotten."""

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The output alone."""
        return (), (0,)


class FromInput(Unary):
    """A function whose derivative is taken at the input."""

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The input alone."""
        return (0,), ()


@dataclasses.dataclass(frozen=True)
class ReLU(FromOutput):
    """y = max(x, floor); dx = dy where y > floor, else 0.

    Args:
        floor: the smallest output.
    """

    floor: float = 0.0

    def forward(self, x: Array) -> Array:
        """The larger of x and the floor."""
        return np.maximum(x, x.dtype.type(self.floor))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """Pass where the output is above the floor."""
        return np.where(outputs[0] > self.floor, grads[0], grads[0].dtype.type(0))


@dataclasses.dataclass(frozen=True)
class LeakyReLU(FromOutput):
    """y = x where x > 0, else slope x; dx = dy or slope dy likewise (x = 0 counts as negative).

    Args:
        slope: factor of the negative side, >= 0, so that the output's sign tells the input's.
    """

    slope: float = 0.01

    def forward(self, x: Array) -> Array:
        """The input, shrunk where it is not positive."""
        return np.where(x > 0, x, x.dtype.type(self.slope) * x)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """The gradient, shrunk where the output is not positive."""
        dy = grads[0]
        return np.where(outputs[0] > 0, dy, dy.dtype.type(self.slope) * dy)


@dataclasses.dataclass(frozen=True)
class Sigmoid(FromOutput):
    """y = 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2; dx = dy y (1 - y)."""

    def forward(self, x: Array) -> Array:
        """By way of tanh, which overflows nowhere."""
        half = x.dtype.type(0.5)
        return np.asarray(half * np.tanh(half * x) + half)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """dy y (1 - y)."""
        y = outputs[0]
        return grads[0] * (y * (1 - y))


@dataclasses.dataclass(frozen=True)
class Tanh(FromOutput):
    """y = tanh x; dx = dy (1 - y^2)."""

    def forward(self, x: Array) -> Array:
        """The hyperbolic tangent."""
        return np.tanh(x)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """dy (1 - y^2)."""
        return grads[0] * (1 - outputs[0] * outputs[0])


@dataclasses.dataclass(frozen=True)
class Exp(FromOutput):
    """y = e^x; dx = dy y. Overflow gives infinity."""

    def forward(self, x: Array) -> Array:
        """The exponential."""
        with np.errstate(over="ignore"):
            return np.exp(x)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """dy y."""
        return grads[0] * outputs[0]


@dataclasses.dataclass(frozen=True)
class Log(FromInput):
    """y = ln x; dx = dy / x. Zero gives -infinity, a negative number NaN."""

    def forward(self, x: Array) -> Array:
        """The natural logarithm."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(x)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """dy / x."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(grads[0] / inputs[0])


@dataclasses.dataclass(frozen=True)
class Abs(FromInput):
    """y = abs(x); dx = dy sign(x), with sign(0) = 0."""

    def forward(self, x: Array) -> Array:
        """The magnitude."""
        return np.abs(x)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """dy sign(x)."""
        return grads[0] * np.sign(inputs[0])


@dataclasses.dataclass(frozen=True)
class Power(FromInput):
    """y = (scale x + shift)^power; dx = dy power scale (scale x + shift)^(power - 1).

    Where power or scale is 0 the gradient is 0, also at a base of 0. A fractional power of a negative base gives NaN.

    Args:
        power: any real number.
        scale: factor of x.
        shift: added to the scaled x.
    """

    power: float = 1.0
    scale: float = 1.0
    shift: float = 0.0

    def _base(self, x: Array) -> Array:
        base: Array = x * x.dtype.type(self.scale) + x.dtype.type(self.shift)
        return base

    def forward(self, x: Array) -> Array:
        """The power of the scaled and shifted input."""
        base = self._base(x)
        if self.power == 1:
            return base
        if self.power == 2:
            return base * base
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.power(base, x.dtype.type(self.power))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """By the power rule, never as a quotient by the base."""
        dy = grads[0]
        factor = dy.dtype.type(self.power * self.scale)
        if factor == 0:
            return np.zeros_like(dy)
        if self.power == 1:
            return dy * factor
        base = self._base(inputs[0])
        if self.power == 2:
            return dy * (factor * base)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return dy * (factor * np.power(base, dy.dtype.type(self.power - 1)))


@dataclasses.dataclass(frozen=True)
class Scale(Unary):
    """y = factor x; dx = factor dy.

    Args:
        factor: any real number.
    """

    factor: float = 1.0

    def forward(self, x: Array) -> Array:
        """The multiple."""
        return x * x.dtype.type(self.factor)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Array:
        """The same multiple."""
        return grads[0] * grads[0].dtype.type(self.factor)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing."""
        return (), ()


class _Binary(Op):
    """Two inputs of the same shape, one output of that shape."""

    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0), (0, 1))

    def infer(self, a: Spec, b: Spec) -> Spec:
        """Two equal shapes, kept."""
        check_float(self, a)
        check_same(self, a, b)
        return a


@dataclasses.dataclass(frozen=True)
class Add(_Binary):
    """y = a + b."""

    def forward(self, a: Array, b: Array) -> Array:
        """The sum."""
        return np.asarray(a + b)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """dy for both."""
        return grads[0], grads[0]

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing."""
        return (), ()


@dataclasses.dataclass(frozen=True)
class Subtract(_Binary):
    """y = a - b."""

    def forward(self, a: Array, b: Array) -> Array:
        """The difference."""
        return np.asarray(a - b)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """dy and -dy."""
        return grads[0], (np.negative(grads[0]) if wanted[1] else None)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing."""
        return (), ()


@dataclasses.dataclass(frozen=True)
class Multiply(_Binary):
    """y = a b, element by element."""

    def forward(self, a: Array, b: Array) -> Array:
        """The product."""
        return np.asarray(a * b)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Dy b and dy a."""
        a, b = inputs
        return (grads[0] * b if wanted[0] else None), (grads[0] * a if wanted[1] else None)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Both inputs."""
        return (0, 1), ()


@dataclasses.dataclass(frozen=True)
class Divide(_Binary):
    """y = a / b. Division by zero gives infinity or NaN."""

    def forward(self, a: Array, b: Array) -> Array:
        """The quotient."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(a / b)

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Dy / b and -dy y / b."""
        with np.errstate(divide="ignore", invalid="ignore"):
            da = grads[0] / inputs[1]
            return da, (-da * outputs[0] if wanted[1] else None)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The divisor and the quotient."""
        return (1,), (0,)


@dataclasses.dataclass(frozen=True)
class Sum(Op):
    """y = the sum of one or more inputs of the same shape, added from left to right.

    This is how the graph joins the gradients of a value that is used several times.
    """

    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, *inputs: Spec) -> Spec:
        """Equal shapes, kept."""
        if not inputs:
            raise ShapeError("Sum: received no input; expected at least one.")
        check_float(self, inputs[0])
        check_same(self, *inputs)
        return inputs[0]

    def forward(self, *inputs: Array) -> Array:
        """The sum, in a fixed order."""
        total = inputs[0].copy()
        for other in inputs[1:]:
            total += other
        return total

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """dy for each."""
        return [grads[0]] * len(wanted)

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing."""
        return (), ()


@dataclasses.dataclass(frozen=True)
class AddBias(Op):
    """y = x + b, with b spread along one axis.

    Shapes: x (..., C, ...), b (C) -> y like x. db sums dy over all other axes.

    Args:
        axis: the axis that b belongs to.
    """

    axis: int = 1
    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ((0, 0),)

    def infer(self, x: Spec, b: Spec) -> Spec:
        """(..., C, ...), (C) -> (..., C, ...)."""
        check_float(self, x)
        channels = x.shape[check_axis(self, self.axis, x)]
        if b != Spec((channels,), x.dtype):
            raise ShapeError(
                f"{self.name}: the bias is {b}; expected {Spec((channels,), x.dtype)} for an input of {x}."
            )
        return x

    def forward(self, x: Array, b: Array) -> Array:
        """The sum, b broadcast."""
        return np.asarray(x + b.reshape([-1 if i == self.axis % x.ndim else 1 for i in range(x.ndim)]))

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """dy; dy summed to (C)."""
        dy = grads[0]
        db = None
        if wanted[1]:
            axis = self.axis % dy.ndim
            # behind the axis first: that sum runs over neighbours in memory, which NumPy adds pairwise
            behind = dy.reshape(*dy.shape[: axis + 1], math.prod(dy.shape[axis + 1 :])).sum(axis=-1)
            db = behind.reshape(math.prod(dy.shape[:axis]), dy.shape[axis]).sum(axis=0)
        return dy, db

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """Nothing."""
        return (), ()
