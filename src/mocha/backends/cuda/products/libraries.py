"""Products by NVIDIA's libraries; what they cannot do is left to our own kernels."""

from __future__ import annotations

from mocha.backends.cuda.device import Product
from mocha.backends.cuda.products.convolutions import Target, find_plan
from mocha.backends.cuda.products.matrices import MatrixLibrary
from mocha.backends.cuda.products.spec import ConvolutionProduct, Numbers, ProductSpec, Unsupported


class LibraryProducts:
    """cuDNN and cuBLASLt.

    Args:
        target: what plans of convolutions are built for.
        matrices: for products of matrices.
    """

    def __init__(self, target: Target, matrices: MatrixLibrary) -> None:
        self._target, self._matrices = target, matrices
        self._plans: dict[ProductSpec, Product] = {}

    def prepare(self, product: ProductSpec) -> Product:
        """The plan for it; one for all products that are alike.

        Raises:
            Unsupported: the libraries have none.
        """
        if product not in self._plans:
            if isinstance(product, ConvolutionProduct):
                if product.numbers is Numbers.FLOAT64:
                    raise Unsupported("cuDNN has no convolutions of float64 that lie channels last.")
                self._plans[product] = find_plan(product, self._target)
            else:
                self._plans[product] = self._matrices.prepare(product)
        return self._plans[product]
