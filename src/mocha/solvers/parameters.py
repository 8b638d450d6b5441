"""The solver's parameters: a plain dictionary, checked when the solver is made."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mocha.errors import ConfigError, did_you_mean
from mocha.solvers.methods import Parameters, SolverMethod
from mocha.solvers.policies import Policy

_COMMON: Parameters = {"max_iter": math.inf, "regu_coef": 0.0005, "load_from": "", "clip_gradients": 0.0}


def make_solver_parameters(method: SolverMethod, **given: Any) -> Parameters:
    """The parameters of a solver: the defaults, and what is given.

    Args:
        method: the method whose own parameters are among them.
        **given: any of

            * `max_iter`: the iteration to stop at, default infinity;
            * `regu_coef`: global weight of regularisation, >= 0, default 0.0005;
            * `load_from`: a snapshot, a model file, or a directory of snapshots to go on from, default "";
            * `clip_gradients`: largest norm of all gradients taken together, 0 for no bound, default 0;
            * the method's own, see its class.

    Raises:
        ConfigError: an unknown name, or a value that cannot be.
    """
    params = {**_COMMON, **method.defaults(), **given}
    check_parameters(method, params)
    return params


def check_parameters(method: SolverMethod, params: Parameters) -> None:
    """Refuse what the method does not understand.

    Raises:
        ConfigError: an unknown or missing name, or a value that cannot be.
    """
    known = {**_COMMON, **method.defaults()}
    for name in params:
        if name not in known:
            raise ConfigError(f"{method.name}: there is no solver parameter {name!r}. {did_you_mean(name, known)}")
    for name, default in known.items():
        if name not in params:
            raise ConfigError(f"{method.name}: the solver parameter {name!r} is missing; use make_solver_parameters.")
        value = params[name]
        if isinstance(default, str) and not isinstance(value, (str, Path)):
            raise ConfigError(f"{method.name}: {name} is {value!r}; expected a path, or an empty string for none.")
        if isinstance(default, Policy) and not isinstance(value, Policy):
            raise ConfigError(f"{method.name}: {name} is {value!r}; expected a policy such as LRPolicy.Fixed(0.01).")
        if isinstance(default, float) and not (isinstance(value, (int, float)) and value >= 0):
            raise ConfigError(f"{method.name}: {name} is {value!r}; expected a number >= 0.")
    method.check(params)
