"""How the learning rate and the momentum change with the iteration. One small class each.

`iteration` counts from 1: the first update is iteration 1. A policy is a pure function of it, but for the one that
watches a validation.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeAlias

from mocha.errors import ConfigError


class Policy(ABC):
    """A number for each iteration."""

    @abstractmethod
    def value(self, iteration: int) -> float:
        """The number at an iteration."""

    def state(self) -> dict[str, float]:
        """What a snapshot must keep of the policy: nothing, for a pure function of the iteration."""
        return {}

    def restore(self, state: Mapping[str, float]) -> None:
        """Take back what `state` gave."""


@dataclasses.dataclass(frozen=True)
class Fixed(Policy):
    """base.

    Args:
        base: the number, >= 0.

    Examples:
        >>> policy = LRPolicy.Fixed(0.01)
        >>> [round(policy.value(iteration), 6) for iteration in (1, 1000)]
        [0.01, 0.01]
    """

    base: float

    def __post_init__(self) -> None:
        _check(self, self.base >= 0, "base >= 0")

    def value(self, iteration: int) -> float:
        """The same always."""
        return self.base


@dataclasses.dataclass(frozen=True)
class StepRate(Policy):
    """base gamma^floor(iteration / stepsize).

    Args:
        base: the number to start with.
        gamma: factor of each step.
        stepsize: iterations in a step, >= 1.

    Examples:
        >>> policy = LRPolicy.Step(0.1, 0.5, 100)
        >>> [round(policy.value(iteration), 6) for iteration in (1, 99, 100, 200)]
        [0.1, 0.1, 0.05, 0.025]
    """

    base: float
    gamma: float
    stepsize: int

    def __post_init__(self) -> None:
        _check(self, self.base >= 0 and self.gamma >= 0 and self.stepsize >= 1, "base, gamma >= 0 and stepsize >= 1")

    def value(self, iteration: int) -> float:
        """Step by step."""
        return _power(self.base, self.gamma, iteration // self.stepsize)


@dataclasses.dataclass(frozen=True)
class Exp(Policy):
    """base gamma^iteration.

    Args:
        base: the number to start with.
        gamma: factor of each iteration.

    Examples:
        >>> policy = LRPolicy.Exp(0.1, 0.9)
        >>> [round(policy.value(iteration), 6) for iteration in (1, 2, 10)]
        [0.09, 0.081, 0.034868]
    """

    base: float
    gamma: float

    def __post_init__(self) -> None:
        _check(self, self.base >= 0 and self.gamma >= 0, "base, gamma >= 0")

    def value(self, iteration: int) -> float:
        """Exponential decay."""
        return _power(self.base, self.gamma, iteration)


@dataclasses.dataclass(frozen=True)
class Inv(Policy):
    """base (1 + gamma iteration)^(-power).

    Args:
        base: the number to start with.
        gamma: how fast it falls, >= 0.
        power: how far it falls.

    Examples:
        >>> policy = LRPolicy.Inv(0.01, 0.0001, 0.75)
        >>> [round(policy.value(iteration), 6) for iteration in (1, 1000, 10000)]
        [0.009999, 0.00931, 0.005946]
    """

    base: float
    gamma: float
    power: float

    def __post_init__(self) -> None:
        _check(self, self.base >= 0 and self.gamma >= 0, "base, gamma >= 0")

    def value(self, iteration: int) -> float:
        """Inverse decay."""
        return float(self.base * (1 + self.gamma * iteration) ** -self.power)


class Staged(Policy):
    """One policy after the other; the last for ever.

    Stage k takes over where the iteration reaches n1 + ... + n(k-1). The inner policies get the global iteration.

    Args:
        stages: pairs (number of iterations, policy).

    Examples:
        >>> policy = LRPolicy.Staged((5000, LRPolicy.Fixed(0.01)), (5000, LRPolicy.Exp(0.01, 0.999)))
        >>> [round(policy.value(iteration), 6) for iteration in (1, 4999, 5000)]
        [0.01, 0.01, 6.7e-05]
    """

    def __init__(self, *stages: tuple[int, Policy]) -> None:
        self.stages = stages
        fits = bool(stages) and all(isinstance(s, tuple) and len(s) == 2 and isinstance(s[1], Policy) for s in stages)
        _check(self, fits and all(n >= 1 for n, _ in stages), "one or more pairs (iterations >= 1, policy)")

    def value(self, iteration: int) -> float:
        """That of the stage."""
        end = 0
        for length, policy in self.stages:
            end += length
            if iteration < end:
                return policy.value(iteration)
        return self.stages[-1][1].value(iteration)

    def state(self) -> dict[str, float]:
        """What the stages remember, each name with the stage's number before it."""
        return {f"{k}/{name}": number for k, (_, p) in enumerate(self.stages) for name, number in p.state().items()}

    def restore(self, state: Mapping[str, float]) -> None:
        """Give it back to them."""
        for k, (_, policy) in enumerate(self.stages):
            prefix = f"{k}/"
            policy.restore({n.removeprefix(prefix): number for n, number in state.items() if n.startswith(prefix)})

    def __repr__(self) -> str:
        return f"Staged({', '.join(map(repr, self.stages))})"


class DecayOnValidation(Policy):
    """The learning rate shrinks, and training goes back to the last good snapshot, when a validation gets worse.

    Each validation is compared with the last good one. If it is not worse it becomes the good one. If it is worse, the
    rate is multiplied by gamma, and the newest snapshot that is not younger than the good validation is restored from
    the solver's `load_from` directory: parameters, solver state, iteration, data position. The smaller rate stays.
    Below `min_lr` nothing happens any more.

    Connect it to a validation with `setup`, before solving.

    Args:
        base: the rate to start with, > 0.
        key: name of the statistic, as "test-accuracy-accuracy".
        gamma: factor on each decay, between 0 and 1.
        min_lr: no decay below this rate.
        higher_better: whether a larger statistic is better (accuracy) or worse (a loss).

    Examples:
        >>> policy = LRPolicy.DecayOnValidation(0.01, "test-accuracy-accuracy", gamma=0.5)
        >>> [policy.observe(iteration, accuracy) for iteration, accuracy in [(1000, 0.97), (2000, 0.98), (3000, 0.96)]]
        [False, False, True]
        >>> policy.value(3001)
        0.005
    """

    def __init__(
        self, base: float, key: str, gamma: float = 0.5, min_lr: float = 1e-8, *, higher_better: bool = True
    ) -> None:
        self.base, self.key, self.gamma, self.min_lr, self.higher_better = base, key, gamma, min_lr, higher_better
        _check(self, base > 0 and 0 < gamma < 1 and min_lr >= 0, "base > 0, 0 < gamma < 1 and min_lr >= 0")
        self.rate = base
        self.good = math.nan
        self.good_at = -1

    def value(self, iteration: int) -> float:
        """The present rate."""
        return self.rate

    def observe(self, iteration: int, statistic: float) -> bool:
        """Look at a validation.

        Returns:
            True if it was worse than the last good one: the rate has been lowered, and training should go back.
        """
        better = statistic >= self.good if self.higher_better else statistic <= self.good
        if math.isnan(self.good) or better:
            self.good, self.good_at = statistic, iteration
            return False
        if self.rate < self.min_lr:
            return False
        self.rate *= self.gamma
        return True

    def state(self) -> dict[str, float]:
        """The rate, and the last good validation."""
        return {"rate": self.rate, "good": self.good, "good_at": float(self.good_at)}

    def restore(self, state: Mapping[str, float]) -> None:
        """Take them back."""
        self.rate = state.get("rate", self.rate)
        self.good = state.get("good", self.good)
        self.good_at = int(state.get("good_at", self.good_at))

    def __repr__(self) -> str:
        about = f"{self.base}, {self.key!r}, {self.gamma}, {self.min_lr}, higher_better={self.higher_better}"
        return f"DecayOnValidation({about})"


@dataclasses.dataclass(frozen=True)
class StepMomentum(Policy):
    """min(base gamma^floor(iteration / stepsize), max).

    Args:
        base: the number to start with.
        gamma: factor of each step.
        stepsize: iterations in a step, >= 1.
        max: the largest number.

    Examples:
        >>> policy = MomPolicy.Step(0.5, 1.2, 100, 0.9)
        >>> [round(policy.value(iteration), 6) for iteration in (1, 100, 200, 1000)]
        [0.5, 0.6, 0.72, 0.9]
    """

    base: float
    gamma: float
    stepsize: int
    max: float

    def __post_init__(self) -> None:
        _check(self, self.base >= 0 and self.gamma >= 0 and self.stepsize >= 1, "base, gamma >= 0 and stepsize >= 1")

    def value(self, iteration: int) -> float:
        """Step by step, bounded."""
        return min(_power(self.base, self.gamma, iteration // self.stepsize), float(self.max))


@dataclasses.dataclass(frozen=True)
class Linear(Policy):
    """min(base + floor(iteration / stepsize) gamma, max).

    Args:
        base: the number to start with.
        gamma: added at each step.
        stepsize: iterations in a step, >= 1.
        max: the largest number.

    Examples:
        >>> policy = MomPolicy.Linear(0.5, 0.1, 100, 0.9)
        >>> [round(policy.value(iteration), 6) for iteration in (1, 100, 200, 1000)]
        [0.5, 0.6, 0.7, 0.9]
    """

    base: float
    gamma: float
    stepsize: int
    max: float

    def __post_init__(self) -> None:
        _check(self, self.base >= 0 and self.stepsize >= 1, "base >= 0 and stepsize >= 1")

    def value(self, iteration: int) -> float:
        """Step by step, bounded."""
        return float(min(self.base + iteration // self.stepsize * self.gamma, self.max))


class LRPolicy:
    """The learning-rate policies under Mocha's names: `LRPolicy.Inv(0.01, 0.0001, 0.75)` and so on."""

    Fixed: TypeAlias = Fixed
    Step: TypeAlias = StepRate
    Exp: TypeAlias = Exp
    Inv: TypeAlias = Inv
    Staged: TypeAlias = Staged
    DecayOnValidation: TypeAlias = DecayOnValidation


class MomPolicy:
    """The momentum policies under Mocha's names: `MomPolicy.Fixed(0.9)` and so on."""

    Fixed: TypeAlias = Fixed
    Step: TypeAlias = StepMomentum
    Linear: TypeAlias = Linear
    Staged: TypeAlias = Staged


def _power(base: float, gamma: float, exponent: int) -> float:
    """base gamma^exponent; infinity where that is too large."""
    try:
        return float(base * gamma**exponent)
    except OverflowError:
        return math.inf if base else 0.0


def _check(policy: Policy, fits: bool, expected: str) -> None:
    if not fits:
        raise ConfigError(f"{policy!r}: expected {expected}.")
