"""Mocha's backends as contestants, used as a user's program uses them."""

from __future__ import annotations

import numpy as np

import mocha
from benchmarks.contestants import Absent, Answer, Predictor, Trainer
from benchmarks.works import LEARNING_RATE, MOMENTUM, REGULARISATION, Weights, Work


def open_backend(name: str, threads: int) -> mocha.backends.AbstractBackend:
    """A backend with so many threads."""
    try:
        backend = mocha.Backend(name)
    except mocha.MochaError as error:
        raise Absent(str(error)) from error
    if name == "native":
        mocha.set_num_threads(threads)
    return backend


def _assign(net: mocha.Net, weights: Weights) -> None:
    for key, values in weights.items():
        layer, _, parameter = key.rpartition("/")
        net.params[layer][parameter] = values


class _Training:
    """A net with its solver."""

    def __init__(
        self, backend: mocha.backends.AbstractBackend, work: Work, weights: Weights | None, *, dropout: bool
    ) -> None:
        self.net = mocha.Net(work.name, backend, work.layers(work.batch, dropout=dropout))
        if weights is not None:
            _assign(self.net, weights)
        method = mocha.SGD()
        params = mocha.make_solver_parameters(
            method,
            regu_coef=REGULARISATION,
            lr_policy=mocha.LRPolicy.Fixed(LEARNING_RATE),
            mom_policy=mocha.MomPolicy.Fixed(MOMENTUM),
        )
        self.solver = mocha.Solver(method, params)
        self.state = self.solver.init_solve(self.net)

    def step(self) -> None:
        self.solver.step(self.net, self.state)

    def close(self) -> None:
        self.solver.finalize_solve(self.net, self.state)
        self.net.close()


class OurTrainer(Trainer):
    """`Solver.step` on a net with a `MemoryDataLayer`."""

    def __init__(self, backend: str, work: Work, threads: int, weights: Weights | None) -> None:
        self._name, self._work, self._threads, self._weights = backend, work, threads, weights
        self._backend = open_backend(backend, threads)
        self._training = _Training(self._backend, work, weights, dropout=True)
        self.step = self._training.step

    def answer(self) -> Answer:
        with open_backend(self._name, self._threads) as backend:
            training = _Training(backend, self._work, self._weights, dropout=False)
            first = training.state.obj_val
            training.step()
            second = training.state.obj_val
            training.step()
            params = training.net.params
            weights = {f"{layer}/{name}": params[layer][name] for layer in params for name in params[layer]}
            training.close()
        return Answer((first, second), weights)

    def step(self) -> None:  # replaced by the training's own, one call less
        raise AssertionError

    def loss(self) -> float:
        return self._training.state.obj_val

    def close(self) -> None:
        self._training.close()
        self._backend.shutdown()


class OurPredictor(Predictor):
    """`mocha.Predictor` on a net of the batch's size."""

    def __init__(self, backend: str, work: Work, threads: int, batch: int) -> None:
        self._backend = open_backend(backend, threads)
        self._net = mocha.Net(work.name, self._backend, work.layers(batch))
        _assign(self._net, work.weights)
        self._data = np.ascontiguousarray(work.examples[0][:batch])
        self._predictor = mocha.Predictor(self._net, work.scores)

    def predict(self) -> np.ndarray:
        return self._predictor(self._data)

    def close(self) -> None:
        self._net.close()
        self._backend.shutdown()
