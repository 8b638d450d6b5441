"""A progress bar with rate and remaining time, on terminals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mocha.console import progress_bar
from mocha.solvers import CoffeeBreak, Lounge, SolverState

if TYPE_CHECKING:
    from mocha.net import Net


class ProgressBar(CoffeeBreak):
    """A bar below the lines that training prints. Have it at every iteration.

    Args:
        max_iter: where the bar ends; infinity for no end.

    Examples:
        >>> from mocha.models import line
        >>> solver = Solver(SGD(), make_solver_parameters(SGD(), max_iter=40, lr_policy=LRPolicy.Fixed(0.5)))
        >>> solver.add_coffee_break(ProgressBar(40), every_n_iter=1)
        >>> with DefaultBackend() as backend, Net("line", backend, line()) as net:
        ...     state = solver.solve(net)
        >>> state.iteration
        40
    """

    def __init__(self, max_iter: float) -> None:
        self._total = None if math.isinf(max_iter) else int(max_iter)
        self._bar: Any = None
        self._task: Any = None

    def init(self, net: Net) -> None:
        """Draw it."""
        self._bar = progress_bar()
        self._task = self._bar.add_task(net.name, total=self._total, rate="")
        self._bar.start()

    def enjoy(self, lounge: Lounge, net: Net, state: SolverState) -> None:
        """Move it."""
        speed = self._bar.tasks[0].speed
        rate = f"{speed:.1f} it/s" if speed else ""
        self._bar.update(self._task, completed=state.iteration, rate=rate)

    def destroy(self, net: Net) -> None:
        """Leave it as it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
