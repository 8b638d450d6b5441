"""Mocha's coffee breaks: a line about the training, a snapshot, a validation; and early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mocha.console import logger
from mocha.errors import ConfigError
from mocha.io import newest_snapshot, snapshot_path
from mocha.solvers import CoffeeBreak, Lounge, Solver, SolverState
from mocha.solvers.policies import DecayOnValidation

if TYPE_CHECKING:
    from mocha.net import Net

Listener = Callable[[Lounge, "Net", SolverState], None]


class TrainingSummary(CoffeeBreak):
    """Logs one line about the training, and records its numbers.

    A number that is no longer a number is warned about once: the training has diverged.

    Args:
        *names: what to tell: `iter`, `obj_val`, one of the method's scalars (`learning_rate`, `momentum`), the name of
            a loss layer, or `examples_per_second` (since the last summary). Default: `iter` and `obj_val`.

    All but `iter` are recorded under their names.

    Examples:
        >>> from mocha.models import line
        >>> solver = Solver(SGD(), make_solver_parameters(SGD(), max_iter=40, lr_policy=LRPolicy.Fixed(0.5)))
        >>> solver.add_coffee_break(TrainingSummary("iter", "obj_val", "learning_rate"), every_n_iter=20)
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = solver.solve(net)
        >>> sorted(solver.lounge.get_statistics("obj_val"))
        [0, 20, 40]
    """

    def __init__(self, *names: str) -> None:
        self.names = names or ("iter", "obj_val")
        self._last: tuple[float, int] | None = None
        self._warned = False

    def init(self, net: Net) -> None:
        """A training begins."""
        self._last, self._warned = None, False

    def enjoy(self, lounge: Lounge, net: Net, state: SolverState) -> None:
        """One line."""
        told = []
        for name in self.names:
            if name == "iter":
                told.append(f"iter={state.iteration:06d}")
                continue
            speed = name == "examples_per_second"
            value = self._rate(net, state) if speed else state.value(name)
            told.append(f"{name}={value:.1f}" if speed else f"{name}={value:.8f}")
            lounge.update_statistics(name, value)
        logger().info(" TRAIN %s", " ".join(told))
        if not self._warned and not math.isfinite(state.obj_val):
            self._warned = True
            logger().warning(
                "The objective is %s at iteration %d: the training has diverged. Use a smaller learning rate, or "
                "clip_gradients.",
                state.obj_val,
                state.iteration,
            )

    def _rate(self, net: Net, state: SolverState) -> float:
        """Examples a second since the last summary."""
        now, before = time.monotonic(), self._last
        self._last = now, state.iteration
        if before is None or now <= before[0] or state.iteration <= before[1] or not net.feeds:
            return math.nan
        sources = sorted((feed.source for feed in net.feeds.values()), key=lambda source: source.endless)
        batch = sources[0].batch_size  # of the first layer with examples, if there is one
        return (state.iteration - before[1]) * batch / (now - before[0])


class Snapshot(CoffeeBreak):
    """Writes ``snapshot-<iteration>.h5``: all that is needed to go on, bit for bit, as if training had never stopped.

    Args:
        directory: where; made if it is not there.

    Examples:
        >>> from mocha.models import line
        >>> solver = Solver(SGD(), make_solver_parameters(SGD(), max_iter=40, lr_policy=LRPolicy.Fixed(0.5)))
        >>> solver.add_coffee_break(Snapshot("snapshots"), every_n_iter=20)
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = solver.solve(net)
        >>> sorted(path.name for path in Path("snapshots").iterdir())
        ['snapshot-000000.h5', 'snapshot-000020.h5', 'snapshot-000040.h5']
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._solver: Solver | None = None
        self._written = -1

    def attach(self, solver: Solver) -> None:
        """Remember whose state is written."""
        self._solver = solver

    def init(self, net: Net) -> None:
        """A training begins."""
        self._written = -1

    def enjoy(self, lounge: Lounge, net: Net, state: SolverState) -> None:
        """Write it, unless training has just gone on from that very snapshot."""
        if state.resumed_from != snapshot_path(self.directory, state.iteration):
            self._write(net, state)

    def interrupted(self, net: Net, state: SolverState) -> bool:
        """Write it, if this iteration's was not written already."""
        if self._written != state.iteration:
            self._write(net, state)
        return True

    def _write(self, net: Net, state: SolverState) -> None:
        if self._solver is None:
            raise ConfigError(
                "Snapshot: add it with add_coffee_break(solver, Snapshot(directory), ...), so that it knows the solver."
            )
        path = snapshot_path(self.directory, state.iteration)
        if path.exists():
            logger().warning("Overwriting %s.", path)
        logger().info("Saved %s.", self._solver.snapshot(net, state, self.directory))
        self._written = state.iteration


class ValidationPerformance(CoffeeBreak):
    """Runs an epoch of a validation net in the testing phase, and logs and records its statistics.

    The data of the validation net start from their beginning each time. Where its batch size does not divide the
    number of examples, the last batch is filled up with the first examples.

    Args:
        net: the validation net, on the same backend and of the same layers.

    Examples:
        >>> points = np.array([[0.0, 1.0], [1.0, 0.0]] * 10)
        >>> data = MemoryDataLayer(data=[points, points[:, 0]], tops=["x", "label"], batch_size=20)
        >>> scores = InnerProductLayer(name="ip", output_dim=2, bottoms=["x"], tops=["scores"])
        >>> loss = SoftmaxLossLayer(name="loss", bottoms=["scores", "label"])
        >>> accuracy = AccuracyLayer(name="accuracy", bottoms=["scores", "label"])
        >>> solver = Solver(SGD(), make_solver_parameters(SGD(), max_iter=20, lr_policy=LRPolicy.Fixed(0.5)))
        >>> with DefaultBackend() as backend:
        ...     net = Net("training", backend, [data, scores, loss])
        ...     validation = Net("validation", backend, [data, scores, accuracy])
        ...     solver.add_coffee_break(ValidationPerformance(validation), every_n_iter=10)
        ...     _ = solver.solve(net)
        ...     destroy(net)
        ...     destroy(validation)
        >>> solver.lounge.get_statistics("accuracy-accuracy")[20]
        1.0
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self._listeners: list[Listener] = []

    def register(self, listener: Listener) -> None:
        """Have a function called after each validation, with the lounge, the net in training and the solver's state."""
        self._listeners.append(listener)

    def init(self, net: Net) -> None:
        """Give the validation net's own parameters, if it has any, their first values."""
        self.net.init()

    def enjoy(self, lounge: Lounge, net: Net, state: SolverState) -> None:
        """One epoch."""
        self.net.rewind()
        self.net.reset_statistics()
        statistics = self.net.forward_epoch(phase="test")
        logger().info("")
        logger().info("## Performance on Validation Set after %d iterations", state.iteration)
        for line in self.net.statistics_text():
            logger().info("   %s", line)
        logger().info("")
        for key, value in statistics.items():
            lounge.update_statistics(key, value)
        for listener in self._listeners:
            listener(lounge, net, state)


class EarlyStopping(CoffeeBreak):
    """Ends training when a statistic has not improved for a while. Add it after the break that records it.

    Args:
        key: name of the statistic, as "test-accuracy-accuracy".
        patience: how many times in a row it may be no better than the best.
        higher_better: whether larger is better.

    Examples:
        >>> from mocha.models import line
        >>> solver = Solver(SGD(), make_solver_parameters(SGD(), max_iter=10000, lr_policy=LRPolicy.Fixed(0.5)))
        >>> solver.add_coffee_break(TrainingSummary(), every_n_iter=20)
        >>> solver.add_coffee_break(EarlyStopping("obj_val", patience=2, higher_better=False), every_n_iter=20)
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = solver.solve(net)
        >>> state.iteration < 10000
        True
    """

    def __init__(self, key: str, patience: int = 3, *, higher_better: bool = True) -> None:
        if patience < 1:
            raise ConfigError(f"EarlyStopping: patience is {patience}; expected a whole number >= 1.")
        self.key, self.patience, self.higher_better = key, patience, higher_better
        self._best = math.nan
        self._waited = 0
        self._seen = -1

    def init(self, net: Net) -> None:
        """A training begins."""
        self._best, self._waited, self._seen = math.nan, 0, -1

    def state(self) -> dict[str, float]:
        """The best number, how many times there was no better one, and the iteration last looked at."""
        return {"best": self._best, "waited": float(self._waited), "seen": float(self._seen)}

    def restore(self, state: Mapping[str, float]) -> None:
        """Take them back."""
        self._best, self._waited = state.get("best", math.nan), int(state.get("waited", 0))
        self._seen = int(state.get("seen", -1))

    def enjoy(self, lounge: Lounge, net: Net, state: SolverState) -> None:
        """Compare the newest number with the best."""
        numbers = lounge.get_statistics(self.key)
        if state.iteration not in numbers or state.iteration == self._seen:  # the latter when training is resumed
            return
        self._seen = state.iteration
        new = numbers[state.iteration]
        if math.isnan(self._best) or (new > self._best if self.higher_better else new < self._best):
            self._best, self._waited = new, 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            state.stop(f"{self.key} has not been better than {self._best:.6g} for {self._waited} times")


def setup_decay(policy: DecayOnValidation, validation: ValidationPerformance, solver: Solver) -> None:
    """Connect a `LRPolicy.DecayOnValidation` to the validation that it watches.

    Args:
        policy: the policy.
        validation: the break that validates.
        solver: the solver; snapshots are looked for in its `load_from` directory.
    """

    def listener(lounge: Lounge, net: Net, state: SolverState) -> None:
        numbers = lounge.get_statistics(policy.key)
        if state.iteration not in numbers:
            raise ConfigError(
                f"DecayOnValidation: the validation recorded no {policy.key!r}; it recorded "
                f"{', '.join(sorted(lounge.statistics))}."
            )
        if not policy.observe(state.iteration, numbers[state.iteration]):
            return
        directory = solver.params["load_from"]
        found = newest_snapshot(Path(directory), at_most=policy.good_at) if directory else None
        if found is None:
            logger().warning(
                "%s got worse: the learning rate is %g now. There is no earlier snapshot to go back to.",
                policy.key,
                policy.rate,
            )
            return
        path, state.go_back = found
        logger().info(
            "%s got worse: the learning rate is %g now, and training goes back to %s.", policy.key, policy.rate, path
        )

    validation.register(listener)
