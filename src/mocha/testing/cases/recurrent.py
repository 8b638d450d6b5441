"""Cases of recurrent networks: sizes around vectors and blocks, sequences that begin anew, no steps."""

from __future__ import annotations

import numpy as np

from mocha.ops import LSTM, RNN, LstmUnit
from mocha.testing.case import Case, Maker, fixed, spoiled


def _weight(rows: int, columns: int) -> Maker:
    return lambda rng: np.asarray(rng.standard_normal((rows, columns)) / np.sqrt(columns))


def _cont(*shape: int) -> Maker:
    """0 and 1."""
    return lambda rng: rng.integers(0, 2, shape).astype(np.float64)


def _partly(*shape: int) -> Maker:
    """Any numbers, which leave a part of the state."""
    return lambda rng: np.asarray(rng.uniform(-0.5, 1.5, shape))


# steps, sequences, units
_SIZES = [
    (1, 1, 1), (4, 2, 3), (3, 1, 17), (3, 7, 5), (3, 8, 4), (2, 9, 19), (5, 20, 8), (2, 33, 16), (0, 2, 3), (3, 0, 2),
]  # fmt: skip

CASES: list[Case] = [
    *(
        Case(f"{t} steps, {b} sequences, {d} units", LSTM(), ((t, b, 4 * d), _weight(4 * d, d), cont, (b, d), (b, d)))
        for t, b, d in _SIZES
        for cont in (_cont(t, b),)
    ),
    Case(
        "work for several threads",
        LSTM(),
        ((2, 80, 128), _weight(128, 32), _cont(2, 80), (80, 32), (80, 32)),
        checked=(),
    ),
    Case("work for several threads", RNN(), ((2, 80, 32), _weight(32, 32), _cont(2, 80), (80, 32)), checked=()),
    Case("cont is any number", LSTM(), ((4, 3, 20), _weight(20, 5), _partly(4, 3), (3, 5), (3, 5))),
    Case(
        "the weight is a parameter", LSTM(), ((3, 2, 12), _weight(12, 3), _cont(3, 2), (2, 3), (2, 3)), parameters=(1,)
    ),
    Case(
        "NaN, infinity and large numbers",
        LSTM(),
        (
            lambda rng: np.concatenate([spoiled((1, 4, 12), np.nan, 1, 6)(rng), 1e4 * rng.standard_normal((2, 4, 12))]),
            _weight(12, 3),
            fixed([[1, 1, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1]]),
            (4, 3),
            spoiled((4, 3), np.inf, 9),
        ),
        checked=(),
    ),
    *(
        Case(f"{t} steps, {b} sequences, {d} units", RNN(), ((t, b, d), _weight(d, d), _cont(t, b), (b, d)))
        for t, b, d in _SIZES
    ),
    Case("cont is any number", RNN(), ((4, 3, 5), _weight(5, 5), _partly(4, 3), (3, 5))),
    Case("the weight is a parameter", RNN(), ((3, 2, 3), _weight(3, 3), _cont(3, 2), (2, 3)), parameters=(1,)),
    Case(
        "NaN and large numbers",
        RNN(),
        (
            lambda rng: np.concatenate([spoiled((1, 4, 3), np.nan, 1)(rng), 1e4 * rng.standard_normal((2, 4, 3))]),
            _weight(3, 3),
            fixed([[1, 1, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1]]),
            (4, 3),
        ),
        checked=(),
    ),
    *(
        Case(f"shape {lead}, {d} units", LstmUnit(), ((*lead, d), (*lead, 4 * d), _partly(*lead)))
        for lead, d in (((1, 3), 4), ((5,), 1), ((2,), 17), ((2, 3, 2), 8), ((0,), 2))
    ),
    Case("work for several threads", LstmUnit(), ((90, 40), (90, 160), _partly(90))),
    Case(
        "odd numbers",
        LstmUnit(),
        (
            spoiled((6, 3), np.inf, 0, 4),
            spoiled(spoiled((6, 12), np.nan, 14, 30), -1e5, 40, 50, 60),
            fixed([0, 1, 1, 0, np.nan, 2]),
        ),
        checked=(),
    ),
]
"""The cases."""
