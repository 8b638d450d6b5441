"""Solver parameters: defaults, and what is refused."""

import math
from pathlib import Path

import pytest

from mocha import SGD, ConfigError, LRPolicy, MomPolicy, Nesterov, Solver, SolverMethod, make_solver_parameters


@pytest.mark.parametrize("method", [SGD(), Nesterov()], ids=lambda m: m.name)
def test_defaults(method):
    assert make_solver_parameters(method) == {
        "max_iter": math.inf,
        "regu_coef": 0.0005,
        "load_from": "",
        "clip_gradients": 0.0,
        "lr_policy": LRPolicy.Fixed(0.01),
        "mom_policy": MomPolicy.Fixed(0.0),
    }


WRONG = [
    ({"momentum": 0.9}, "SGD: there is no solver parameter 'momentum'. Known: clip_gradients,"),
    ({"max_iters": 5}, "Did you mean 'max_iter'?"),
    ({"xyzzy": 5}, "Known: clip_gradients, load_from, lr_policy, max_iter, mom_policy, regu_coef."),
    ({"max_iter": -1}, "SGD: max_iter is -1; expected a number >= 0."),
    ({"max_iter": "10"}, "max_iter is '10'"),
    ({"max_iter": math.nan}, "max_iter is nan"),
    ({"regu_coef": -0.1}, "regu_coef is -0.1"),
    ({"regu_coef": None}, "regu_coef is None"),
    ({"clip_gradients": -1.0}, "clip_gradients is -1.0"),
    ({"lr_policy": 0.01}, "lr_policy is 0.01; expected a policy such as LRPolicy.Fixed(0.01)"),
    ({"mom_policy": MomPolicy.Fixed}, "mom_policy is <class"),
    ({"load_from": 3}, "load_from is 3; expected a path"),
    ({"load_from": None}, "load_from is None; expected a path"),
]


@pytest.mark.parametrize(("given", "told"), WRONG, ids=[f"{next(iter(g))}-{n}" for n, (g, _) in enumerate(WRONG)])
def test_what_is_refused(given, told):
    with pytest.raises(ConfigError) as error:
        make_solver_parameters(SGD(), **given)
    assert told in str(error.value)
    with pytest.raises(ConfigError):  # a dictionary made by hand is checked too
        Solver(SGD(), {**make_solver_parameters(SGD()), **given})


def test_a_missing_parameter():
    params = make_solver_parameters(SGD())
    del params["lr_policy"]
    with pytest.raises(ConfigError, match="'lr_policy' is missing; use make_solver_parameters"):
        Solver(SGD(), params)


@pytest.mark.parametrize("method", [SGD, "SGD", None])
def test_what_is_no_method(method):
    with pytest.raises(ConfigError, match=r"Solver: received the method .*; expected one such as SGD"):
        Solver(method, make_solver_parameters(SGD()))


def test_a_path_is_a_fine_place_to_load_from():
    assert make_solver_parameters(SGD(), load_from=Path("a"))["load_from"] == Path("a")


def test_a_method_of_ones_own_says_what_it_understands():
    class Plain(SolverMethod):
        def defaults(self):
            return {"rate": 0.5}

        def scalars(self, params, iteration):
            return {"rate": params["rate"]}

        def op(self, about, params):
            raise NotImplementedError

    assert Plain().name == "Plain"
    assert make_solver_parameters(Plain())["rate"] == 0.5
    with pytest.raises(ConfigError, match="Plain: rate is -1"):
        make_solver_parameters(Plain(), rate=-1)
    with pytest.raises(ConfigError, match="Plain: there is no solver parameter 'lr_policy'"):
        make_solver_parameters(Plain(), lr_policy=LRPolicy.Fixed(1.0))


def test_repr():
    assert repr(Solver(SGD(), make_solver_parameters(SGD()))) == "<solver SGD, no limit, 0 breaks>"
    params = make_solver_parameters(Nesterov(), max_iter=7)
    assert repr(Solver(Nesterov(), params)) == "<solver Nesterov, 7 iterations, 0 breaks>"
