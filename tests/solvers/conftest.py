import dataclasses

import numpy as np
import pytest

from mocha import (
    SGD,
    CoffeeBreak,
    InnerProductLayer,
    MemoryDataLayer,
    Net,
    Neurons,
    Solver,
    SquareLossLayer,
    TrainingSummary,
    make_solver_parameters,
)
from mocha.backends import Backend

RNG = np.random.default_rng(3)
X = RNG.standard_normal((12, 4))
T = X @ RNG.standard_normal((4, 2)) + 0.5 + 0.1 * RNG.standard_normal((12, 2))


class Do(CoffeeBreak):
    """Calls a function in each break."""

    def __init__(self, function, blobs=()):
        self.function = function
        self._blobs = blobs

    @property
    def blobs(self):
        return self._blobs

    def enjoy(self, lounge, net, state):
        self.function(net, state)


@dataclasses.dataclass
class Kit:
    """A least-squares problem and what trains it."""

    backend: object
    x: np.ndarray
    t: np.ndarray
    do: type = Do

    def ip(self, name="ip", **more):
        about = {"output_dim": 2, "bottoms": ["data"], "tops": [name]}
        return InnerProductLayer(**{"name": name, **about, **more})

    def data(self, dtype=np.float64, **more):
        return MemoryDataLayer(
            **{"name": "data", "data": [self.x.astype(dtype), self.t.astype(dtype)], "batch_size": 4, **more}
        )

    def net(self, *layers, name="train", seed=None, backend=None, dtype=np.float64, **more):
        layers = layers or (self.ip(), SquareLossLayer(name="loss", bottoms=["ip", "label"]))
        return Net(name, backend or self.backend, [self.data(dtype, **more), *layers], seed=seed)

    def deep(self, **more):
        """With a hidden layer."""
        hidden = self.ip("hidden", output_dim=5, neuron=Neurons.Tanh())
        return self.net(
            hidden, self.ip(bottoms=["hidden"]), SquareLossLayer(name="loss", bottoms=["ip", "label"]), **more
        )

    def solver(self, method=None, **params):
        method = method or SGD()
        return Solver(method, make_solver_parameters(method, **{"max_iter": 10, **params}))

    def recorded(self, solver, *names):
        """Have the solver record the objective in each iteration."""
        solver.add_coffee_break(TrainingSummary("obj_val", *names), every_n_iter=1)
        return solver

    def values(self, net):
        return {f"{layer}/{name}": array for layer, group in net.params.items() for name, array in group.items()}


@pytest.fixture
def kit():
    with Backend("numpy") as backend:
        yield Kit(backend, X, T)
