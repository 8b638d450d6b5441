"""Mocha's verbs: the functions that a script is written with. Each is the method of that name on its first argument."""

from __future__ import annotations

from mocha.backends import AbstractBackend
from mocha.coffee import ValidationPerformance, setup_decay
from mocha.errors import ConfigError
from mocha.net import Net
from mocha.solvers import CoffeeBreak, LRPolicy, Solver, SolverState


def init(thing: AbstractBackend | Net) -> None:
    """Get a backend ready, or give a net's parameters their first values. Both happen by themselves too."""
    thing.init()


def shutdown(backend: AbstractBackend) -> None:
    """Forget all parameters of a backend and give back what it holds."""
    backend.shutdown()


def destroy(net: Net) -> None:
    """Stop a net's threads and close its files. Its parameters stay with the backend."""
    net.close()


def registry_reset(backend: AbstractBackend) -> None:
    """Forget all parameters of a backend, to train anew in one process. Make new nets afterwards."""
    backend.registry.reset()


def solve(solver: Solver, net: Net) -> SolverState:
    """Train a net; see `Solver.solve`."""
    return solver.solve(net)


def init_solve(solver: Solver, net: Net) -> SolverState:
    """Get ready to train by hand; see `Solver.init_solve`."""
    return solver.init_solve(net)


def onestep_solve(solver: Solver, net: Net, state: SolverState) -> None:
    """One iteration by hand; see `Solver.step`."""
    solver.step(net, state)


def finalize_solve(solver: Solver, net: Net, state: SolverState) -> None:
    """End a training by hand; see `Solver.finalize_solve`."""
    solver.finalize_solve(net, state)


def add_coffee_break(solver: Solver, coffee: CoffeeBreak, *, every_n_iter: int = 0, every_n_epoch: int = 0) -> None:
    """Have a break every so often; see `Solver.add_coffee_break`."""
    solver.add_coffee_break(coffee, every_n_iter=every_n_iter, every_n_epoch=every_n_epoch)


def setup(policy: LRPolicy.DecayOnValidation, validation: ValidationPerformance, solver: Solver) -> None:
    """Connect a policy to the validation that it watches.

    Raises:
        ConfigError: the policy watches none.
    """
    if not isinstance(policy, LRPolicy.DecayOnValidation):
        raise ConfigError(f"setup: received {policy!r}; expected an LRPolicy.DecayOnValidation.")
    setup_decay(policy, validation, solver)


def freeze(net: Net, *layers: str) -> None:
    """Keep the parameters of these layers as they are."""
    net.freeze(*layers)


def unfreeze(net: Net, *layers: str) -> None:
    """Let the parameters of these layers learn again."""
    net.unfreeze(*layers)


def freeze_all(net: Net) -> None:
    """Freeze every layer."""
    net.freeze_all()


def unfreeze_all(net: Net) -> None:
    """Freeze no layer."""
    net.unfreeze_all()


def forward(net: Net) -> float:
    """Run the next batch; see `Net.forward`."""
    return net.forward()


def backward(net: Net) -> None:
    """Compute the gradients; see `Net.backward`."""
    net.backward()


def forward_backward(net: Net) -> float:
    """Both; see `Net.forward_backward`."""
    return net.forward_backward()


def forward_epoch(net: Net) -> dict[str, float]:
    """Run an epoch in the testing phase; see `Net.forward_epoch`."""
    return net.forward_epoch()
