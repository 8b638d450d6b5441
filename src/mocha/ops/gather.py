"""Rows of an array taken by number, or chosen by a mark beside each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mocha.errors import FormatError, ShapeError
from mocha.ops.base import Array, Op, Spec, check_float
from mocha.ops.pointwise import Indices


def row_numbers(index: Array, rows: int) -> npt.NDArray[np.int64]:
    """What an index names, floating-point numbers truncated towards 0.

    Raises:
        FormatError: one is not the number of a row, from 0 to rows - 1.
    """
    truncated = np.trunc(index.astype(np.float64)) if index.dtype.kind == "f" else index
    wrong = ~((truncated >= 0) & (truncated < rows))  # NaN too
    if wrong.any():
        where = int(np.flatnonzero(wrong)[0])
        raise FormatError(
            f"element {where} of the index is {index.reshape(-1)[where]}; expected a number from 0 to {rows - 1}, "
            f"because there are {rows} rows. Check the index in the data, or the number of rows."
        )
    return np.asarray(truncated, np.int64)


def _check_rows(op: Op, x: Spec) -> None:
    check_float(op, x)
    if not x.ndim:
        raise ShapeError(f"{op.name}: the input is {x}; expected rows, along axis 0.")


@dataclasses.dataclass(frozen=True)
class TakeRows(Op):
    """y[i, ...] = x[index[i], ...]: rows by number, as often as they are named.

    Shapes: x (R, ...), index of any shape -> index.shape + x.shape[1:]. The index has whole numbers from 0 to R - 1, of
    any type; a floating-point number is truncated towards 0. The gradient of x adds up what each row is named for, in
    the order of the index, and is 0 for a row that is not named. The index has none.
    """

    def infer(self, x: Spec, index: Spec) -> Spec:
        """(R, ...), (...) -> (..., ...)."""
        _check_rows(self, x)
        return Spec((*index.shape, *x.shape[1:]), x.dtype)

    def forward(self, x: Array, index: Array) -> Array:
        """One row after the other.

        Raises:
            FormatError: the index names a row that is not there.
        """
        return np.asarray(x[row_numbers(index, x.shape[0])])

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """Each row's gradients added up."""
        x, index = inputs
        dx = np.zeros(x.shape, grads[0].dtype)
        np.add.at(dx, row_numbers(index, x.shape[0]), grads[0])
        return dx, None

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The index."""
        return (1,), ()

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The rows, not the index."""
        return (0,)


@dataclasses.dataclass(frozen=True)
class SelectRows(Op):
    """The rows whose selector is not 0, in order. Which they are may change from run to run, how many may not.

    Shapes: x (N, ...), selector (N, 1, ...), one number a row of any type -> (count, ...). NaN is not 0. The gradient
    goes back to the rows that were selected, the others get 0; the selector has none.

    Args:
        count: how many rows are selected, >= 0.
    """

    count: int

    def infer(self, x: Spec, selector: Spec) -> Spec:
        """(N, ...), (N, 1, ...) -> (count, ...)."""
        _check_rows(self, x)
        if selector.shape[:1] != x.shape[:1] or selector.size != x.shape[0]:
            raise ShapeError(
                f"{self.name}: the selector is {selector}; expected {x.shape[0]}x1, one number for each row of {x}."
            )
        if not 0 <= self.count <= x.shape[0]:
            raise ShapeError(f"{self.name}: count is {self.count}; expected 0 to {x.shape[0]}, the rows of {x}.")
        return Spec((self.count, *x.shape[1:]), x.dtype)

    def _selected(self, selector: Array) -> npt.NDArray[np.intp]:
        places: npt.NDArray[Any] = np.flatnonzero(selector != 0)
        if places.size != self.count:
            raise FormatError(
                f"the selector is not 0 for {places.size} of {selector.size} rows; expected {self.count}, the number "
                "that the shapes were made for. Check the selector in the data, or say the number that it has."
            )
        return places

    def forward(self, x: Array, selector: Array) -> Array:
        """A copy of the rows.

        Raises:
            FormatError: more or fewer rows are selected than `count`.
        """
        return np.asarray(x[self._selected(selector)])

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """The selected rows among zeros."""
        x, selector = inputs
        dx = np.zeros(x.shape, grads[0].dtype)
        dx[self._selected(selector)] = grads[0]
        return dx, None

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The selector."""
        return (1,), ()

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The rows, not the selector."""
        return (0,)


@dataclasses.dataclass(frozen=True)
class Unpool(Op):
    """Images of zeros with numbers put at given places: what max pooling took is put back to where it came from.

    Shapes: x (N, C, h, w), places (N, C, h, w) of any type, as `WinnerPlaces` gives them -> (N, C, height, width). A
    place is the number of a cell in its plane, row-major, and truncated towards 0; -1, for a window without a cell, is
    none. Numbers with the same place are added up, in order. dx takes the gradient at its place; places have none.
    (Badrinarayanan, Kendall and Cipolla, "SegNet", 2015.)

    Args:
        height: rows of the result, >= 1.
        width: columns of the result, >= 1.
    """

    height: int
    width: int

    def infer(self, x: Spec, places: Spec) -> Spec:
        """(N, C, h, w) twice -> (N, C, height, width)."""
        check_float(self, x)
        if x.ndim != 4 or places.shape != x.shape:
            raise ShapeError(f"{self.name}: inputs are {x} and {places}; expected (N, C, h, w) twice.")
        if min(self.height, self.width) < 1:
            raise ShapeError(f"{self}: expected at least one row and one column.")
        return Spec((*x.shape[:2], self.height, self.width), x.dtype)

    def _cells(self, places: Array) -> npt.NDArray[np.intp]:
        """(planes, numbers) of cells; that behind the last one stands for none.

        Raises:
            FormatError: a place is no cell.
        """
        size = self.height * self.width
        flat = places.reshape(math.prod(places.shape[:2]), math.prod(places.shape[2:]))
        wrong = np.flatnonzero(~((flat > -2) & (flat < size)))
        if wrong.size:
            raise FormatError(
                f"place {wrong[0]} is {flat.reshape(-1)[wrong[0]]}; expected -1, or a number from 0 to {size - 1}, "
                f"of a cell of {self.height} x {self.width}. Are the places those of a pooling of such images?"
            )
        cells = np.trunc(flat).astype(np.intp)
        return np.where(flat <= -1, size, cells)

    def forward(self, x: Array, places: Array) -> Array:
        """One plane after the other."""
        cells = self._cells(places)
        flat = x.reshape(cells.shape)
        planes = np.zeros((len(flat), self.height * self.width + 1), x.dtype)
        np.add.at(planes, (np.arange(len(flat))[:, np.newaxis], cells), flat)
        return planes[:, :-1].reshape(*x.shape[:2], self.height, self.width).copy()

    def backward(
        self, grads: Sequence[Array], inputs: Sequence[Array], outputs: Sequence[Array], wanted: Sequence[bool]
    ) -> Sequence[Array | None]:
        """What lies at the places."""
        x, places = inputs
        cells = self._cells(places)
        planes = np.zeros((len(cells), self.height * self.width + 1), grads[0].dtype)
        planes[:, :-1] = grads[0].reshape(len(cells), self.height * self.width)
        return np.take_along_axis(planes, cells, axis=1).reshape(x.shape), None

    def reads(self, n_inputs: int, n_outputs: int) -> Indices:
        """The places."""
        return (1,), ()

    def differentiable(self, n_inputs: int) -> Sequence[int]:
        """The numbers, not the places."""
        return (0,)
