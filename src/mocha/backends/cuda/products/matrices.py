"""Products of matrices by cuBLASLt, with bias and ReLU in the same kernel.

cuBLASLt counts down columns, we count along rows: a row-major (n, k) is its column-major (k, n). So y = x w^T is to it
y^T = w x^T.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mocha.backends.cuda.device import Address
from mocha.backends.cuda.extra import require
from mocha.backends.cuda.products.spec import Activation, MatrixProduct, Numbers, Pass, Unsupported

_MOST_WORKSPACE = 32 << 20
_TRANSPOSED, _AS_IT_IS = 1, 0


class _Shape(NamedTuple):
    """D (m, n) = op(A) op(B), summed over k, as cuBLASLt sees it; which inputs A and B are, and how each lies."""

    m: int
    n: int
    k: int
    a: int
    b: int
    turn_a: int
    turn_b: int


def _shape(product: MatrixProduct) -> _Shape:
    n, d, k = product.n, product.d, product.k
    match product.which:
        case Pass.FORWARD:  # (x, w) -> y^T (k, n) = w (k, d) x^T (d, n)
            return _Shape(k, n, d, 1, 0, _TRANSPOSED, _AS_IT_IS)
        case Pass.DATA:  # (w, dy) -> dx^T (d, n) = w^T (d, k) dy^T (k, n)
            return _Shape(d, n, k, 0, 1, _AS_IT_IS, _AS_IT_IS)
        case Pass.FILTER:  # (x, dy) -> dw^T (d, k) = x^T (d, n) dy (n, k)
            return _Shape(d, k, n, 0, 1, _AS_IT_IS, _TRANSPOSED)


class MatrixLibrary:
    """A handle of cuBLASLt, and the stream that it works on.

    Args:
        stream: of the kernels.

    Raises:
        BackendUnavailable: the library is not there.
    """

    def __init__(self, stream: int) -> None:
        self.lt = require("nvmath.bindings.cublasLt")
        self.stream = stream
        self.handle = self.lt.create()

    def prepare(self, product: MatrixProduct) -> MatrixPlan:
        """Choose a kernel.

        Raises:
            Unsupported: there is none.
        """
        return MatrixPlan(self, product)

    def close(self) -> None:
        """Give back the handle."""
        if self.handle:
            self.lt.destroy(self.handle)
            self.handle = 0


class MatrixPlan:
    """A product, ready to be done.

    Attributes:
        workspace: bytes.
    """

    def __init__(self, library: MatrixLibrary, product: MatrixProduct) -> None:
        self._library, self._product = library, product
        self._shape = _shape(product)
        lt = library.lt
        types = _Types(product)
        shape = self._shape
        self._scalars = np.array([1, 0], types.scale_dtype)
        self._desc = lt.matmul_desc_create(types.compute, types.scale)
        attribute = lt.MatmulDescAttribute
        _set(lt.matmul_desc_set_attribute, self._desc, attribute.TRANSA, ctypes.c_int32(shape.turn_a))
        _set(lt.matmul_desc_set_attribute, self._desc, attribute.TRANSB, ctypes.c_int32(shape.turn_b))
        epilogue = _epilogue(lt, product)
        _set(lt.matmul_desc_set_attribute, self._desc, attribute.EPILOGUE, ctypes.c_int32(epilogue))
        self._layouts = [
            lt.matrix_layout_create(types.numbers, rows, columns, rows)
            for rows, columns in (
                (shape.k, shape.m) if shape.turn_a else (shape.m, shape.k),
                (shape.n, shape.k) if shape.turn_b else (shape.k, shape.n),
                (shape.m, shape.n),
            )
        ]
        weakref.finalize(self, _destroy, lt, self._desc, tuple(self._layouts)).atexit = False
        self._algorithm = self._choose(lt)
        self.workspace = int(self._algorithm["workspace_size"][0])

    def _choose(self, lt: Any) -> Any:
        preference = lt.matmul_preference_create()
        try:
            attribute = lt.MatmulPreferenceAttribute
            limit = ctypes.c_uint64(_MOST_WORKSPACE)
            _set(lt.matmul_preference_set_attribute, preference, attribute.MAX_WORKSPACE_BYTES, limit)
            found = np.zeros(1, lt.matmul_heuristic_result_dtype)
            count = np.zeros(1, np.int32)
            a, b, d = self._layouts
            try:
                lt.matmul_algo_get_heuristic(
                    self._library.handle, self._desc, a, b, d, d, preference, 1, found.ctypes.data, count.ctypes.data
                )
            except lt.cuBLASLtError as error:
                raise Unsupported(f"cuBLASLt cannot do {self._product}: {error}") from error
            if not count[0]:
                raise Unsupported(f"cuBLASLt has no kernel for {self._product}.")
            return found
        finally:
            lt.matmul_preference_destroy(preference)

    def enqueue(self, inputs: Sequence[Address], outputs: Sequence[Address], workspace: Address) -> None:
        """On the library's stream."""
        lt, shape = self._library.lt, self._shape
        if self._product.epilogue.bias:
            attribute = lt.MatmulDescAttribute.BIAS_POINTER
            _set(lt.matmul_desc_set_attribute, self._desc, attribute, ctypes.c_void_p(inputs[2]))
        a, b, d = self._layouts
        one, zero = self._scalars.ctypes.data, self._scalars.ctypes.data + self._scalars.itemsize
        lt.matmul(
            self._library.handle, self._desc, one, inputs[shape.a], a, inputs[shape.b], b, zero, outputs[0], d,
            outputs[0], d, self._algorithm["algo"].ctypes.data, workspace, self.workspace, self._library.stream,
        )  # fmt: skip


def _destroy(lt: Any, description: int, layouts: Sequence[int]) -> None:
    lt.matmul_desc_destroy(description)
    for layout in layouts:
        lt.matrix_layout_destroy(layout)


class _Types:
    """cuBLASLt's names of the types of a product."""

    def __init__(self, product: MatrixProduct) -> None:
        kind = require("nvmath").CudaDataType
        compute = require("nvmath.bindings.cublas").ComputeType
        double = product.numbers is Numbers.FLOAT64
        self.numbers = int(
            {
                Numbers.FLOAT32: kind.CUDA_R_32F,
                Numbers.FLOAT64: kind.CUDA_R_64F,
                Numbers.FLOAT16: kind.CUDA_R_16F,
                Numbers.BFLOAT16: kind.CUDA_R_16BF,
            }[product.numbers]
        )
        self.scale = int(kind.CUDA_R_64F if double else kind.CUDA_R_32F)
        self.scale_dtype = np.float64 if double else np.float32
        fast = product.tensor_cores and product.numbers is Numbers.FLOAT32
        self.compute = int(
            compute.COMPUTE_64F if double else compute.COMPUTE_32F_FAST_TF32 if fast else compute.COMPUTE_32F
        )


def _epilogue(lt: Any, product: MatrixProduct) -> int:
    kind = lt.Epilogue
    bias, activation, floor = product.epilogue
    if activation is Activation.NONE:
        return int(kind.BIAS if bias else kind.DEFAULT)
    if activation is Activation.RELU and floor == 0:
        return int(kind.RELU_BIAS if bias else kind.RELU)
    raise Unsupported("cuBLASLt is asked for ReLUs with a floor of 0 alone.")


def _set(function: Any, what: int, attribute: Any, value: Any) -> None:
    function(what, int(attribute), ctypes.addressof(value), ctypes.sizeof(value))
