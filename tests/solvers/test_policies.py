"""Every policy's formula, and the one that watches a validation."""

import math

import pytest

from mocha import ConfigError, LRPolicy, MomPolicy

FORMULAS = [
    (LRPolicy.Fixed(0.1), lambda t: 0.1),
    (LRPolicy.Step(0.1, 0.5, 10), lambda t: 0.1 * 0.5 ** (t // 10)),
    (LRPolicy.Exp(0.1, 0.99), lambda t: 0.1 * 0.99**t),
    (LRPolicy.Inv(0.01, 0.0001, 0.75), lambda t: 0.01 * (1 + 0.0001 * t) ** -0.75),
    (MomPolicy.Fixed(0.9), lambda t: 0.9),
    (MomPolicy.Step(0.5, 1.1, 10, 0.9), lambda t: min(0.5 * 1.1 ** min(t // 10, 100), 0.9)),
    (MomPolicy.Linear(0.5, 0.1, 10, 0.9), lambda t: min(0.5 + 0.1 * (t // 10), 0.9)),
    (MomPolicy.Linear(0.5, -0.1, 10, 0.9), lambda t: min(0.5 - 0.1 * (t // 10), 0.9)),
]


@pytest.mark.parametrize(("policy", "formula"), FORMULAS, ids=[repr(p) for p, _ in FORMULAS])
def test_formula(policy, formula):
    for iteration in (0, 1, 9, 10, 11, 19, 20, 55, 1000, 10**6):
        assert policy.value(iteration) == pytest.approx(formula(iteration), rel=1e-14)
        assert isinstance(policy.value(iteration), float)
    assert policy.state() == {}
    policy.restore({})


def test_known_numbers():
    assert LRPolicy.Exp(1.0, 2.0).value(10**6) == math.inf
    assert LRPolicy.Exp(0.0, 2.0).value(10**6) == 0
    assert LRPolicy.Step(1.0, 0.1, 5).value(4) == 1.0
    assert LRPolicy.Step(1.0, 0.1, 5).value(5) == 0.1
    assert LRPolicy.Inv(0.01, 0.0001, 0.75).value(10000) == pytest.approx(0.005946035575)
    assert MomPolicy.Linear(0.5, 0.1, 100, 0.9).value(10000) == 0.9


def test_staged():
    staged = LRPolicy.Staged((6, LRPolicy.Fixed(1.0)), (4, LRPolicy.Fixed(2.0)), (5, LRPolicy.Step(4.0, 0.5, 10)))
    expected = {
        **dict.fromkeys((0, 1, 5), 1.0),
        **dict.fromkeys((6, 9), 2.0),
        10: 2.0,
        14: 2.0,
        15: 2.0,
        20: 1.0,
        99: 4 / 2**9,
    }
    for iteration, rate in expected.items():
        assert staged.value(iteration) == rate
    for iteration in (99, 6, 0):  # no memory of what was asked before
        assert staged.value(iteration) == expected[iteration]
    assert "Staged((6, Fixed(base=1.0)), (4," in repr(staged)
    assert MomPolicy.Staged((2, MomPolicy.Fixed(0.5)), (1, MomPolicy.Fixed(0.9))).value(2) == 0.9


def test_staged_remembers_what_its_stages_remember():
    def make():
        return LRPolicy.Staged((6, LRPolicy.Fixed(1.0)), (4, LRPolicy.DecayOnValidation(0.5, "acc")))

    staged = make()
    staged.stages[1][1].observe(3, 0.9), staged.stages[1][1].observe(4, 0.1)
    other = make()
    other.restore(staged.state())
    assert (staged.value(7), other.value(7)) == (0.25, 0.25)
    assert other.stages[1][1].good_at == 3


WRONG = [
    lambda: LRPolicy.Fixed(-1),
    lambda: LRPolicy.Step(1.0, -0.5, 10),
    lambda: LRPolicy.Step(1.0, 0.5, 0),
    lambda: LRPolicy.Exp(-1.0, 0.5),
    lambda: LRPolicy.Inv(0.1, -1.0, 0.5),
    lambda: LRPolicy.Staged(),
    lambda: LRPolicy.Staged((0, LRPolicy.Fixed(1.0))),
    lambda: LRPolicy.Staged((5, 0.1)),
    lambda: LRPolicy.Staged(LRPolicy.Fixed(1.0)),
    lambda: LRPolicy.DecayOnValidation(0, "acc"),
    lambda: LRPolicy.DecayOnValidation(0.1, "acc", 1.0),
    lambda: LRPolicy.DecayOnValidation(0.1, "acc", 0.5, -1),
    lambda: MomPolicy.Step(0.5, 1.1, 0, 0.9),
    lambda: MomPolicy.Linear(-0.5, 1.1, 1, 0.9),
    lambda: LRPolicy.Fixed(math.nan),
]


@pytest.mark.parametrize("make", WRONG)
def test_what_is_refused(make):
    with pytest.raises(ConfigError, match="expected"):
        make()


@pytest.mark.parametrize("higher_better", [True, False])
def test_decay_compares_with_the_last_good_one(higher_better):
    sign = 1 if higher_better else -1
    policy = LRPolicy.DecayOnValidation(0.8, "key", gamma=0.5, min_lr=0.15, higher_better=higher_better)
    seen = [
        # statistic, worse, rate afterwards, last good one at
        (0.5, False, 0.8, 0),
        (0.6, False, 0.8, 1),
        (0.6, False, 0.8, 2),  # as good is good enough
        (0.55, True, 0.4, 2),
        (0.58, True, 0.2, 2),  # better than the last, but not than the good one
        (0.1, True, 0.1, 2),
        (0.1, False, 0.1, 2),  # below min_lr nothing happens any more
        (0.7, False, 0.1, 7),
    ]
    for iteration, (statistic, worse, rate, good_at) in enumerate(seen):
        assert policy.observe(iteration, sign * statistic) is worse
        assert policy.value(iteration) == pytest.approx(rate)
        assert policy.good_at == good_at
    other = LRPolicy.DecayOnValidation(0.8, "key")
    other.restore(policy.state())
    assert (other.rate, other.good, other.good_at) == (policy.rate, policy.good, 7)
    assert "higher_better" in repr(other)


def test_decay_and_numbers_that_are_none():
    policy = LRPolicy.DecayOnValidation(0.8, "key")
    assert not policy.observe(0, math.nan)
    assert not policy.observe(1, 0.5)
    assert policy.good_at == 1
    assert policy.observe(2, math.nan)  # a diverged net is worse
