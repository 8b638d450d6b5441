"""Solvers: the loop, the methods, the policies, and the protocol of a break."""

from mocha.solvers.adaptive import Adadelta, Adagrad, Adam, AdamW, RMSProp
from mocha.solvers.breaks import CoffeeBreak, Lounge, ScheduledBreak
from mocha.solvers.methods import SGD, Nesterov, SolverMethod
from mocha.solvers.parameters import make_solver_parameters
from mocha.solvers.policies import LRPolicy, MomPolicy, Policy
from mocha.solvers.solver import Solver
from mocha.solvers.state import SolverState

__all__ = [
    "Adadelta", "Adagrad", "Adam", "AdamW", "CoffeeBreak", "LRPolicy", "Lounge", "MomPolicy", "Nesterov", "Policy",
    "RMSProp", "SGD", "ScheduledBreak", "Solver",
    "SolverMethod", "SolverState", "make_solver_parameters",
]  # fmt: skip
