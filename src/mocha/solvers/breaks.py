"""The protocol of a coffee break: something that happens every so often while a solver works.

The breaks themselves are in `mocha.coffee`. Write your own by subclassing `CoffeeBreak`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mocha.errors import ConfigError
from mocha.visual import Statistics

if TYPE_CHECKING:
    from mocha.net import Net
    from mocha.solvers.solver import Solver
    from mocha.solvers.state import SolverState


class Lounge:
    """Where statistics gather: name -> iteration -> number.

    Attributes:
        statistics: all of them.
        iteration: the present iteration, under which new ones are recorded.
        changed: whether something was recorded since the statistics were last saved.
    """

    def __init__(self) -> None:
        self.statistics = Statistics()
        self.iteration = 0
        self.changed = False

    def update_statistics(self, key: str, value: float) -> None:
        """Record a number at the present iteration."""
        self.statistics.setdefault(key, {})[self.iteration] = float(value)
        self.changed = True

    def get_statistics(self, key: str) -> dict[int, float]:
        """Iteration -> number; empty for an unknown key."""
        return self.statistics.get(key, {})

    def _repr_html_(self) -> str:
        return self.statistics._repr_html_()


class CoffeeBreak:
    """What happens in a break. Override what you need."""

    @property
    def blobs(self) -> Iterable[str]:
        """Names of the training net's blobs that the break will read: the solver's program keeps them."""
        return ()

    def attach(self, solver: Solver) -> None:
        """The break was added to a solver."""

    def init(self, net: Net) -> None:
        """Before the first iteration."""

    def enjoy(self, lounge: Lounge, net: Net, state: SolverState) -> None:
        """The break.

        Args:
            lounge: records statistics.
            net: the net in training.
            state: iteration, objective, losses, rates; `state.stop(reason)` ends the training.
        """

    def state(self) -> dict[str, float]:
        """What a snapshot must keep of the break, so that a resumed training is the one that was not interrupted."""
        return {}

    def restore(self, state: Mapping[str, float]) -> None:
        """Take back what `state` gave, after `init`."""

    def interrupted(self, net: Net, state: SolverState) -> bool:
        """Training was interrupted by Ctrl-C and ends after this iteration.

        Returns:
            True if the break has saved the state of the training.
        """
        return False

    def destroy(self, net: Net) -> None:
        """After the last iteration, also when training failed."""


@dataclasses.dataclass
class ScheduledBreak:
    """A break and when it is due.

    Attributes:
        coffee: the break.
        every_n_iter: at iterations that are a multiple of it; 0 for never.
        every_n_epoch: when the number of epochs reaches a multiple of it; 0 for never.
        last_epoch: the number of epochs when it was last looked at.
    """

    coffee: CoffeeBreak
    every_n_iter: int = 0
    every_n_epoch: int = 0
    last_epoch: int = 0

    def __post_init__(self) -> None:
        for field in ("every_n_iter", "every_n_epoch"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ConfigError(f"add_coffee_break: {field} is {value!r}; expected a whole number >= 0.")
        if not isinstance(self.coffee, CoffeeBreak):
            raise ConfigError(
                f"add_coffee_break: received {self.coffee!r}; expected a CoffeeBreak such as TrainingSummary()."
            )
        if not self.every_n_iter and not self.every_n_epoch:
            raise ConfigError(
                "add_coffee_break: give every_n_iter or every_n_epoch; without either the break never happens."
            )

    @property
    def when(self) -> str:
        """When it is due, in words."""
        return f"every {self.every_n_iter} iterations" if self.every_n_iter else f"every {self.every_n_epoch} epochs"

    def due(self, iteration: int, epoch: int) -> bool:
        """Whether it is time. Iterations take precedence if both are given."""
        if self.every_n_iter:
            return iteration % self.every_n_iter == 0
        before, self.last_epoch = self.last_epoch, epoch
        return math.floor(epoch / self.every_n_epoch) > math.floor(before / self.every_n_epoch)
