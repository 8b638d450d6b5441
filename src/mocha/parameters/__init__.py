"""Parameters: how they start, what pulls at them, what bounds them, and who shares them."""

from mocha.parameters.constraints import Constraint, L2Cons, NoCons
from mocha.parameters.initializers import (
    ConstantInitializer,
    GaussianInitializer,
    Initializer,
    NullInitializer,
    OrthogonalInitializer,
    XavierInitializer,
)
from mocha.parameters.registry import Parameter, ParameterSpec, Registry, Store, parameter_key
from mocha.parameters.regularizers import L1Regu, L2Regu, NoRegu, Regularizer

__all__ = [
    "ConstantInitializer", "Constraint", "GaussianInitializer", "Initializer", "L1Regu", "L2Cons", "L2Regu", "NoCons",
    "NoRegu", "NullInitializer", "OrthogonalInitializer", "Parameter", "ParameterSpec", "Registry", "Regularizer",
    "Store", "XavierInitializer", "parameter_key",
]  # fmt: skip
