"""Cases of the chains that fusion makes."""

from __future__ import annotations

from mocha.ops import (
    AdamStep,
    AddBias,
    Chain,
    ClipByNorm,
    Convolution,
    Exp,
    InnerProduct,
    L1Decay,
    L2Decay,
    LeakyReLU,
    NesterovStep,
    Op,
    ReLU,
    SgdStep,
    Sigmoid,
    Tanh,
)
from mocha.testing.case import Case, between, number

_ACTIVATIONS: list[Op] = [ReLU(), ReLU(0.25), LeakyReLU(0.1), Sigmoid(), Tanh(), Exp()]
_SAME = Convolution(pad=(1, 1))
_IMAGE, _FILTER = (2, 3, 5, 4), (4, 3, 3, 3)
_W, _RATE, _MOMENTUM = (4, 3), number(0.01), number(0.9)

CASES: list[Case] = [
    Case("plain", Chain((_SAME, AddBias()), (2, 2)), (_IMAGE, _FILTER, (4,)), parameters=(1, 2)),
    Case("no bias", Chain((_SAME, ReLU()), (2, 1)), (_IMAGE, _FILTER), parameters=(1,)),
    *(
        Case(f"then {a}", Chain((_SAME, AddBias(), a), (2, 2, 1)), (_IMAGE, _FILTER, (4,)), parameters=(1, 2))
        for a in _ACTIVATIONS
    ),
    *(
        Case(f"then {a}", Chain((InnerProduct(), AddBias(), a), (2, 2, 1)), ((4, 5), (3, 5), (3,)), parameters=(1, 2))
        for a in _ACTIVATIONS
    ),
    Case("plain", Chain((L2Decay(0.1), SgdStep()), (2, 5)), (_W, _W, _W, _W, _RATE, _MOMENTUM)),
    Case(
        "all",
        Chain((ClipByNorm(1.0), L1Decay(0.1), L2Decay(0.2), NesterovStep(2.0)), (2, 2, 2, 6)),
        (_W, number(3.0), _W, _W, _W, _W, _RATE, _MOMENTUM, number(0.95)),
    ),
    Case(
        "adaptive",
        Chain((ClipByNorm(1.0), L2Decay(0.2), AdamStep(2.0)), (2, 2, 6)),
        (_W, number(3.0), _W, _W, _W, between(0.0, 2.0, *_W), _RATE, number(0.5)),
    ),
]
"""The cases."""
