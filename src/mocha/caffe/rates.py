"""Caffe's learning-rate policies. The iteration counts the updates that are done: 0 at the first one."""

from __future__ import annotations

from typing import Any

import numpy as np

from mocha.errors import ConfigError, did_you_mean

POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")


class Rate:
    """The learning rate of a solver.

    Args:
        param: a `SolverParameter`.

    Attributes:
        current_step: of the policies "step" and "multistep": how many steps lie behind.

    Raises:
        ConfigError: the policy is unknown, or its numbers cannot be.
    """

    def __init__(self, param: Any) -> None:
        self._param = param
        self.current_step = 0
        policy = param.lr_policy
        if policy not in POLICIES:
            raise ConfigError(f"solver: lr_policy is {policy!r}. {did_you_mean(policy, POLICIES)}")
        if policy in ("step", "exp", "inv", "multistep", "sigmoid") and param.gamma < 0:
            raise ConfigError(f"solver: gamma is {param.gamma:g}; expected a number >= 0 for the policy {policy!r}.")
        if policy in ("step", "sigmoid") and param.stepsize < 1:
            raise ConfigError(
                f"solver: stepsize is {param.stepsize}; expected a number >= 1 for the policy {policy!r}."
            )
        if policy == "poly" and param.max_iter < 1:
            raise ConfigError(f"solver: max_iter is {param.max_iter}; expected a number >= 1 for the policy 'poly'.")

    def at(self, iteration: int) -> float:
        """The rate of the update that follows after so many; what is beyond the largest number is infinite."""
        with np.errstate(over="ignore", under="ignore"):
            return float(self._at(iteration))

    def _at(self, iteration: int) -> Any:
        p = self._param
        base, gamma, power = np.float64(p.base_lr), np.float64(p.gamma), p.power
        if p.lr_policy == "step":
            self.current_step = iteration // p.stepsize
        if p.lr_policy == "multistep":
            steps = list(p.stepvalue)
            if self.current_step < len(steps) and iteration >= steps[self.current_step]:
                self.current_step += 1
        if p.lr_policy in ("step", "multistep"):
            return base * gamma**self.current_step
        if p.lr_policy == "exp":
            return base * gamma**iteration
        if p.lr_policy == "inv":
            return base * (1 + gamma * iteration) ** -power
        if p.lr_policy == "poly":  # 0 from max_iter on, where the formula has nothing to say
            return base * max(np.float64(1 - iteration / p.max_iter), np.float64(0)) ** power
        if p.lr_policy == "sigmoid":
            return base / (1 + np.exp(-gamma * (iteration - p.stepsize)))
        return base
