"""The adaptive methods against a plain re-implementation in NumPy, over ten iterations of a least-squares problem."""

import numpy as np
import pytest

from mocha import (
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    ConfigError,
    ConstantInitializer,
    L1Regu,
    L2Regu,
    LRPolicy,
    NoRegu,
    RMSProp,
    SquareLossLayer,
    make_solver_parameters,
)

BATCH = 4


def gradients(w, b, x, t):
    d = (x @ w.T + b - t) / len(x)
    return d.T @ x, d.sum(axis=0)


def adam(s, g, w, rate, t, *, beta1=0.9, beta2=0.999, epsilon=1e-8, decay=0.0):
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g**2
    mean, square = s["m"] / (1 - beta1**t), s["v"] / (1 - beta2**t)
    # the paper's remark: epsilon beside the uncorrected root
    return w - rate * (mean / (np.sqrt(square) + epsilon / np.sqrt(1 - beta2**t)) + decay * w)


def adagrad(s, g, w, rate, t, *, gamma=1.0, epsilon=1e-8):
    s["h"] = s.get("h", 0) + g**2
    return w - rate * gamma * g / (np.sqrt(s["h"]) + epsilon)


def rmsprop(s, g, w, rate, t, *, decay=0.99, epsilon=1e-8):
    s["h"] = decay * s.get("h", 0) + (1 - decay) * g**2
    return w - rate * g / (np.sqrt(s["h"]) + epsilon)


def adadelta(s, g, w, rate, t, *, rho=0.95, eps=1e-6):
    s["e"] = rho * s.get("e", 0) + (1 - rho) * g**2
    step = np.sqrt(s.get("d", 0) + eps) / np.sqrt(s["e"] + eps) * g
    s["d"] = rho * s.get("d", 0) + (1 - rho) * step**2
    return w - rate * step


INV = LRPolicy.Inv(0.003, 0.0001, 0.5)
ONE = LRPolicy.Fixed(1.0)
CASES = {
    "Adam": (Adam(), {}, adam, {}, INV),
    "Adam, all": (
        Adam(),
        {"beta1": 0.7, "beta2": 0.95, "epsilon": 1e-3, "lr_policy": LRPolicy.Exp(0.1, 0.9)},
        adam,
        {"beta1": 0.7, "beta2": 0.95, "epsilon": 1e-3},
        LRPolicy.Exp(0.1, 0.9),
    ),
    "AdamW": (AdamW(), {"weight_decay": 0.3}, adam, {"decay": 0.3}, INV),
    "Adagrad": (Adagrad(), {}, adagrad, {}, ONE),
    "Adagrad, all": (
        Adagrad(),
        {"gamma": 0.1, "epsilon": 0.01, "lr_policy": LRPolicy.Exp(0.5, 0.9)},
        adagrad,
        {"gamma": 0.1, "epsilon": 0.01},
        LRPolicy.Exp(0.5, 0.9),
    ),
    "RMSProp": (RMSProp(), {}, rmsprop, {}, LRPolicy.Fixed(0.001)),
    "RMSProp, all": (
        RMSProp(),
        {"rms_decay": 0.5, "epsilon": 0.01},
        rmsprop,
        {"decay": 0.5, "epsilon": 0.01},
        LRPolicy.Fixed(0.001),
    ),
    "Adadelta": (Adadelta(), {}, adadelta, {}, ONE),
    "Adadelta, all": (Adadelta(), {"rho": 0.5, "eps": 1e-3}, adadelta, {"rho": 0.5, "eps": 1e-3}, ONE),
}


@pytest.mark.parametrize("local", [{}, {"weight_lr": 0.5, "bias_lr": 3.0}])
@pytest.mark.parametrize("name", CASES)
def test_against_numpy(kit, name, local):
    method, params, by_hand, settings, policy = CASES[name]
    layer = kit.ip(bias_init=ConstantInitializer(0.3), **local)
    net = kit.net(layer, SquareLossLayer(name="loss", bottoms=["ip", "label"]))
    p = [net.params["ip"]["weight"], net.params["ip"]["bias"]]
    coefs = [0.0 if isinstance(method, AdamW) else 0.02, 0.0]  # the bias has no regularizer
    states, expected = [{}, {}], []
    for t in range(1, 11):
        rows = np.arange((t - 1) * BATCH, t * BATCH) % len(kit.x)
        grads = gradients(*p, kit.x[rows], kit.t[rows])
        for k, local_rate in enumerate((layer.weight_lr, layer.bias_lr)):
            own = {**settings, **({"decay": 0.0} if k == 1 and isinstance(method, AdamW) else {})}
            g = grads[k] + 2 * coefs[k] * p[k]
            p[k] = by_hand(states[k], g, p[k], local_rate * policy.value(t), t, **own)
        expected.append([a.copy() for a in p])
    seen = []
    solver = kit.solver(method, **{"regu_coef": 0.02, **params})
    solver.add_coffee_break(kit.do(lambda n, s: seen.append(kit.values(n))), every_n_iter=1)
    solver.solve(net)
    for found, (weight, bias) in zip(seen[1:], expected, strict=True):
        np.testing.assert_allclose(found["ip/weight"], weight, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found["ip/bias"], bias, rtol=1e-10, atol=1e-12)


def test_decoupled_decay_is_of_l2_alone(kit):
    def solve(regularizer):
        layer = kit.ip(weight_regu=regularizer)
        net = kit.net(layer, SquareLossLayer(name="loss", bottoms=["ip", "label"]))
        start = net.params["ip"]["weight"]
        kit.solver(AdamW(), max_iter=1, lr_policy=LRPolicy.Fixed(0.1), weight_decay=0.5).solve(net)
        end = net.params["ip"]["weight"]
        kit.backend.registry.reset()
        return start, end

    (start, without), (again, decayed) = solve(NoRegu()), solve(L2Regu(2.0))
    np.testing.assert_array_equal(start, again)
    np.testing.assert_allclose(decayed, without - 0.1 * 0.5 * 2.0 * start, rtol=1e-10)
    with pytest.raises(ConfigError, match=r"AdamW: weight has L1Regu.*expected L2Regu"):
        solve(L1Regu(1.0))


@pytest.mark.parametrize(
    ("method", "wrong"),
    [(Adam(), {"beta1": 1.0}), (Adam(), {"beta2": 1.5}), (RMSProp(), {"rms_decay": 1.0}), (Adadelta(), {"rho": 2.0})],
)
def test_what_a_mean_keeps_is_below_one(kit, method, wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=rf"{method.name}: {name} is .*below 1"):
        make_solver_parameters(method, **wrong)


def test_the_correction_is_told(kit):
    net = kit.net(kit.ip(), SquareLossLayer(name="loss", bottoms=["ip", "label"]))
    state = kit.solver(Adam(), max_iter=3).solve(net)
    assert state.value("learning_rate") == INV.value(3)
    assert state.value("correction") == pytest.approx(np.sqrt(1 - 0.999**3) / (1 - 0.9**3))
