"""Numbers that are part of the graph."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from mocha.ops.base import Array, Op, Shape, Spec


@dataclasses.dataclass(frozen=True)
class Constant(Op):
    """The same array always; no inputs, no gradient. Made by `Constant.of(array)`.

    Args:
        data: the elements, row-major, as the machine has them.
        shape: the array's shape.
        dtype: name of its type.
    """

    data: bytes
    shape: Shape
    dtype: str

    @classmethod
    def of(cls, array: npt.ArrayLike) -> Constant:
        """The op that gives an array."""
        values = np.ascontiguousarray(array)
        return cls(values.tobytes(), np.shape(array), values.dtype.name)

    def infer(self) -> Spec:
        """The array's."""
        return Spec(self.shape, np.dtype(self.dtype))

    def forward(self) -> Array:
        """A copy."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape).copy()

    def __str__(self) -> str:
        return f"{self.name}({'x'.join(map(str, self.shape)) or 'scalar'} {self.dtype})"
