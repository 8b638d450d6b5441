"""The plan of every convolution of well-known nets, built by cuDNN for a GPU that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mocha.backends import Numerics, NumpyBackend, Precision
from mocha.backends.cuda.compiling import products_of
from mocha.backends.cuda.extra import require
from mocha.backends.cuda.products.convolutions import Target, find_plan
from mocha.backends.cuda.products.spec import ConvolutionProduct, ProductSpec, Unsupported
from mocha.models import find_model
from mocha.net import Net
from mocha.solvers import SGD, make_solver_parameters
from mocha.solvers.program import training_program

NETS = {"lenet": 64, "cifar10-quick": 100, "caffenet": 256, "googlenet": 128, "resnet50": 256}
"""Models, with a batch that is usual on a GPU."""


class Built(NamedTuple):
    """The plans of one net.

    Attributes:
        net: its model.
        precision: in which it trains.
        plans: how many different convolutions have a plan of cuDNN's.
        apart: of these, how many with bias and activation in kernels of their own.
        own: how many are left to our own kernels.
        workspace: the most memory that one takes, bytes.
        matrices: how many different products of matrices there are, which need a GPU to be planned.
    """

    net: str
    precision: Precision
    plans: int
    apart: int
    own: int
    workspace: int
    matrices: int


def described_gpu() -> Target:
    """A GPU as a file describes it.

    Raises:
        BackendUnavailable: cuDNN is not installed.
    """
    from mocha.backends.cuda.libraries import load_libraries

    load_libraries()
    text = Path(__file__).with_name("h200.json").read_text()
    return Target("NVIDIA H200", None, require("cudnn").create_device_properties(text), 90)


class _OnPaper(NumpyBackend):
    """Has programs built as the CUDA backend wants them, and runs none."""

    fuses_units = True

    def __init__(self, numerics: Numerics) -> None:
        super().__init__()
        self._numerics = numerics

    @property
    def wishes(self) -> dict[str, Any]:
        """Those of the CUDA backend."""
        return {"channels_last": True, "narrowing": self._numerics.narrowing}


def training_products(name: str, numerics: Numerics, batch: int) -> set[ProductSpec]:
    """All products of a training step of a model."""
    model = find_model(name)
    data, labels = model.noise(1)
    with _OnPaper(numerics) as backend:
        layers = model.training(data.repeat(batch, axis=0), labels.repeat(batch), batch)
        with Net(name, backend, layers) as net:
            method = SGD()
            program = training_program(net, method, make_solver_parameters(method, max_iter=1), [], "plans/")
            return set(products_of(program, numerics))


def build_plans(target: Target, numerics: Numerics) -> Iterator[Built]:
    """Build them, net by net."""
    for name, batch in NETS.items():
        products = training_products(name, numerics, batch)
        convolutions = [p for p in products if isinstance(p, ConvolutionProduct)]
        found, apart, own, workspace = 0, 0, 0, 0
        for product in convolutions:
            try:
                plan = find_plan(product, target)
            except Unsupported:
                try:
                    plan = find_plan(product.plain, target)
                except Unsupported:
                    own += 1
                    continue
                apart += 1
            found += 1
            workspace = max(workspace, plan.workspace)
        yield Built(name, numerics.precision, found, apart, own, workspace, len(products) - len(convolutions))
