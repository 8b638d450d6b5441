"""What an op is: a differentiable function on arrays, with the rule for its shapes.

`forward` and `backward` are written once, in plain NumPy-style array code, for reading. They are the definition of
the op: of windows, borders, ties, rounding and empty input. Every backend must agree with them.

The letters of the shape comments: N examples in the batch, C channels, H height, W width, K outputs (filters or
units), D inputs of a unit, P positions (the product of all axes that are meant).

Overwrite or accumulate: an op always *overwrites* its outputs. Where a value is used twice, the graph adds the two
gradients with an op of its own (`mocha.ops.pointwise.Sum`).
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mocha.errors import ShapeError

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Spec:
    """The shape and the element type of an array that need not exist yet."""

    shape: Shape
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The memory that the array takes, in bytes."""
        return self.size * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.shape)) or 'scalar'} {self.dtype}"

    @classmethod
    def of(cls, array: Array) -> Spec:
        """The spec of an array at hand."""
        return cls(tuple(array.shape), array.dtype)


class Op(ABC):
    """A differentiable function on arrays.

    An op of your own needs `infer` and `forward`, and `backward` if gradients are to pass through it. Its attributes
    (a stride, a scale) are the fields of a frozen dataclass. All the rest has defaults that are always right;
    overriding them saves memory or time.
    """

    n_aux: ClassVar[int] = 0
    """How many of the last outputs carry no gradient: masks, winners, saved statistics."""

    overwrites: ClassVar[tuple[tuple[int, int], ...]] = ()
    """Pairs (output, input): the output may take over that input's memory, if nobody needs the input any more."""

    updates: ClassVar[tuple[tuple[int, int], ...]] = ()
    """Pairs (output, input): the output is the new value of that input, a parameter or state that outlives the run."""

    gradient_by_design: ClassVar[str] = ""
    """Why the gradient is not the derivative of what `forward` computes, for an op of which that is meant so."""

    is_view: ClassVar[bool] = False
    """The only output is the first input's memory under another shape."""

    errors_pass: ClassVar[bool] = False
    """What `forward` and `backward` raise reaches the user as it is, for it comes from the user's own code; otherwise
    it becomes a `MochaError` that names the layer."""

    @property
    def name(self) -> str:
        """How the op is called in print: its class."""
        return type(self).__name__

    # `*inputs: Any, **none: Any` lets each op name its own inputs, `def forward(self, x, w)`; none is passed by name.

    @abstractmethod
    def infer(self, *inputs: Any, **none: Any) -> Spec | tuple[Spec, ...]:
        """The shapes and types of the outputs, given the `Spec` of each input.

        Raises:
            ShapeError: the inputs do not fit the op or each other.
        """

    @abstractmethod
    def forward(self, *inputs: Any, **none: Any) -> Array | tuple[Array, ...]:
        """The outputs, computed from the inputs."""

    def backward(
        self,
        grads: Sequence[Array],
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        wanted: Sequence[bool],
    ) -> Array | Sequence[Array | None]:
        """The gradients of the inputs.

        Args:
            grads: gradients of the outputs, without the `n_aux` last ones.
            inputs: what `forward` received. One that `reads` does not name comes as its `Spec`: the shape without data.
            outputs: what `forward` returned, likewise.
            wanted: for each input, whether its gradient will be used.

        Returns:
            one gradient an input, None where not wanted; a single array stands for an op of one input.
        """
        raise NotImplementedError(f"{self.name} has no backward.")

    def reads(self, n_inputs: int, n_outputs: int) -> tuple[Sequence[int], Sequence[int]]:
        """Which inputs and which outputs `backward` looks at. The others may be forgotten after `forward`."""
        return range(n_inputs), range(n_outputs)

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The inputs that a gradient can be asked for."""
        return range(n_inputs) if type(self).backward is not Op.backward else ()

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Arithmetic operations of `forward` (a multiplication and an addition are two)."""
        return sum(out.size for out in outputs)

    def __str__(self) -> str:
        told = []
        for field in getattr(self, "__dataclass_fields__", {}).values():
            value = getattr(self, field.name)
            if value != field.default:
                told.append(f"{field.name}={_short(value)}")
        return f"{self.name}({', '.join(told)})" if told else self.name


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return "scalar" if not value else "x".join(_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_tuple(result: Any) -> tuple[Any, ...]:
    """What an op returned, as a tuple: a single array or spec stands for a tuple of one."""
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def check_same(op: Op, first: Spec, *others: Spec) -> None:
    """Each spec must equal the first.

    Raises:
        ShapeError: naming the op and the first spec that differs.
    """
    for position, other in enumerate(others, start=2):
        if other != first:
            raise ShapeError(
                f"{op.name}: input {position} is {other}, but input 1 is {first}; expected equal shapes and types."
            )


def check_axis(op: Op, axis: int, spec: Spec) -> int:
    """An axis counted from the front.

    Raises:
        ShapeError: the input has no such axis.
    """
    if not -spec.ndim <= axis < spec.ndim:
        raise ShapeError(f"{op.name}: axis {axis} does not exist in an input of {spec.ndim} axes ({spec}).")
    return axis % spec.ndim


def check_ranks(op: Op, *geometry: Shape) -> None:
    """Kernel, stride, padding and the like must speak of the same number of axes.

    Raises:
        ShapeError: they do not.
    """
    if len({len(numbers) for numbers in geometry}) != 1:
        raise ShapeError(f"{op}: expected one number an axis in each of its properties, and the same number of axes.")


def check_float(op: Op, spec: Spec) -> None:
    """An input must be float32 or float64.

    Raises:
        ShapeError: it is not.
    """
    if spec.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ShapeError(f"{op.name}: received {spec.dtype} values; expected float32 or float64.")
