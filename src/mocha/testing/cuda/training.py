"""A net trained on the CUDA backend and on the reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from mocha.backends import AbstractBackend, CudaBackend, Numerics, NumpyBackend, Precision
from mocha.backends.cuda.emulated import EmulatedDevice
from mocha.models import Model, find_model
from mocha.net import Net
from mocha.ops import Array
from mocha.solvers import SGD, Solver, make_solver_parameters
from mocha.solvers.policies import LRPolicy, MomPolicy

_SPREAD = np.float32(0.3)  # as that of MNIST's pixels: with more, two trainings drift apart by rounding alone
_PATTERN = np.float32(0.1)  # what is to be learned, beside noise of 1: little, so that the loss stays far from 0
_EXAMPLES = 16  # batches of made-up data, which are gone through again and again


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training left.

    Attributes:
        losses: of each step.
        parameters: key -> values at the end.
    """

    losses: list[float]
    parameters: dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two trainings of one net.

    Attributes:
        net: its model.
        found: on the backend that is checked.
        expected: on the reference.
        limit: the largest difference of a loss that passes, relative.
    """

    net: str
    found: Trained
    expected: Trained
    limit: float

    @property
    def loss_error(self) -> float:
        """The largest relative difference of a loss."""
        a, b = np.array(self.found.losses), np.array(self.expected.losses)
        return float(np.max(np.abs(a - b) / np.abs(b)))

    @property
    def parameter_error(self) -> float:
        """The largest difference of a parameter, relative to its array's largest number."""
        return max(
            float(np.max(np.abs(self.found.parameters[key] - values)) / np.max(np.abs(values)))
            for key, values in self.expected.parameters.items()
        )

    @property
    def agrees(self) -> bool:
        """Whether the losses do."""
        return self.loss_error <= self.limit

    def __str__(self) -> str:
        first, last = self.expected.losses[0], self.expected.losses[-1]
        return (
            f"{self.net}: {len(self.expected.losses)} steps, loss {first:.4f} to {last:.4f}; worst relative difference "
            f"of a loss {self.loss_error:.1e} (at most {self.limit:.0e}), of a parameter {self.parameter_error:.1e}"
        )


def learnable(model: Model, examples: int, seed: int = 0) -> tuple[Array, Array]:
    """Data with something to learn: each class has a pattern of its own, under noise."""
    noise, labels = model.noise(examples, seed)
    patterns = np.random.default_rng(seed + 1).standard_normal((model.classes, *model.shape), np.float32)
    return _SPREAD * (noise + _PATTERN * patterns[labels.astype(int)]), labels


def train_on(backend: AbstractBackend, model: Model, steps: int, batch: int) -> Trained:
    """Train by momentum SGD with decay.

    Args:
        backend: where. It is shut down at the end.
        model: what.
        steps: iterations.
        batch: examples of each.
    """
    data, labels = learnable(model, _EXAMPLES * batch)
    losses: list[float] = []
    with backend, Net("compared", backend, model.training(data, labels, batch), seed=1) as net:
        method = SGD()
        params = make_solver_parameters(
            method, max_iter=steps, regu_coef=5e-4, lr_policy=LRPolicy.Fixed(0.002), mom_policy=MomPolicy.Fixed(0.9)
        )
        solver = Solver(method, params)
        state = solver.init_solve(net)
        try:
            for _ in range(steps):
                solver.step(net, state)
                losses.append(state.obj_val)
        finally:
            solver.finalize_solve(net, state)
        return Trained(losses, {p.key: backend.store.read(p.key) for p in net.parameters})


def compare_training(
    name: str,
    steps: int,
    batch: int,
    make: Callable[[], CudaBackend] = lambda: CudaBackend(
        EmulatedDevice(), numerics=Numerics(Precision.FLOAT32, deterministic=True)
    ),
    limit: float = 1e-3,
) -> Comparison:
    """Train a model on a CUDA backend and on the reference.

    Args:
        name: of the model.
        steps: iterations.
        batch: examples of each.
        make: makes the CUDA backend; on the emulated device, unless told.
        limit: the largest difference of a loss that passes, relative.
    """
    model = find_model(name)
    return Comparison(name, train_on(make(), model, steps, batch), train_on(NumpyBackend(), model, steps, batch), limit)


__all__ = ["Comparison", "Trained", "compare_training", "learnable", "train_on"]
