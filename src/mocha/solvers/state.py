"""What a solver knows while it works."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mocha.backends import Executable
from mocha.errors import ConfigError, MochaError, did_you_mean
from mocha.visual.page import card, facts_table

if TYPE_CHECKING:
    from mocha.io import Snapshot


class SolverState:
    """Iteration, objective, losses and rates of a training that is under way.

    Attributes:
        iteration: updates done so far.
        scalars: the method's scalars at the last update: `learning_rate`, `momentum`, ...; NaN before the first.
        stop_reason: why training is to end after this iteration, or "".
        resumed_from: the file that training went on from, or None.
        go_back: a snapshot to restore after this iteration's breaks, or None.
    """

    def __init__(self, scalars: Mapping[str, float] | None = None) -> None:
        self.iteration = 0
        self.scalars: Mapping[str, float] = scalars or {}
        self.stop_reason = ""
        self.resumed_from: Path | None = None
        self.go_back: Snapshot | None = None
        self._executable: Executable | None = None

    def ran(self, executable: Executable) -> None:
        """A forward pass was done: the losses are to be read from here."""
        self._executable = executable

    @property
    def executable(self) -> Executable | None:
        """The executable that ran last."""
        return self._executable

    @property
    def losses(self) -> dict[str, float]:
        """Name of a loss layer -> its value on the next batch, with the present parameters."""
        if self._executable is None:
            return {}
        return {name: float(self._executable.read(v)) for name, v in self._executable.program.losses.items()}

    @property
    def obj_val(self) -> float:
        """The objective: the sum of all losses, without regularisation. Read only when asked for."""
        return math.fsum(self.losses.values()) if self._executable is not None else math.nan

    def stop(self, reason: str) -> None:
        """End the training after this iteration's breaks: for early stopping."""
        self.stop_reason = reason or "a coffee break asked for it"

    def value(self, name: str) -> float:
        """A number by name: `iter`, `obj_val`, a scalar such as `learning_rate`, or the name of a loss layer.

        Raises:
            ConfigError: there is none of that name.
        """
        if name in ("iter", "iteration"):
            return self.iteration
        if name == "obj_val":
            return self.obj_val
        if name in self.scalars:
            return self.scalars[name]
        losses = self.losses
        if name in losses:
            return losses[name]
        known = ["iter", "obj_val", *self.scalars, *losses]
        raise ConfigError(f"there is no number {name!r} in the solver's state. {did_you_mean(name, known)}")

    def _repr_html_(self) -> str:
        facts = [("iteration", str(self.iteration))]
        with contextlib.suppress(MochaError):  # the net was closed since
            losses = self.losses
            facts.append(("objective", f"{math.fsum(losses.values()):.6g}"))
            facts += [(name, f"{value:.6g}") for name, value in losses.items()] if len(losses) > 1 else []
        facts += [(name.replace("_", " "), f"{value:.6g}") for name, value in self.scalars.items()]
        facts += [("ended because", self.stop_reason)] if self.stop_reason else []
        return card("state of a training", facts_table(facts))
