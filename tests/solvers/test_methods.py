"""The methods against a plain re-implementation in NumPy, over ten iterations of a least-squares problem."""

import numpy as np
import pytest

from mocha import (
    SGD,
    ConstantInitializer,
    L1Regu,
    L2Cons,
    L2Regu,
    LRPolicy,
    MomPolicy,
    Nesterov,
    NoCons,
    NoRegu,
    SquareLossLayer,
)

BATCH = 4


def gradients(w, b, x, t):
    d = (x @ w.T + b - t) / len(x)
    return d.T @ x, d.sum(axis=0)


def regularised(g, w, regu, coef):
    if isinstance(regu, L2Regu):
        return g + 2 * regu.coef * coef * w
    if isinstance(regu, L1Regu):
        return g + regu.coef * coef * np.sign(w)
    return g


def constrained(w, cons, iteration):
    if isinstance(cons, NoCons) or not cons.every_n_iter or iteration % cons.every_n_iter:
        return w
    rows = w.reshape(1, -1) if w.ndim == 1 else w
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows * np.minimum(1, cons.threshold / norms)).reshape(w.shape)


def by_hand(method, layer, x, t, start, *, iterations, lr, mom, coef, clip=0.0):
    """The parameters after each iteration."""
    p, v, history = list(start), [np.zeros_like(a) for a in start], []
    for i in range(1, iterations + 1):
        rows = np.arange((i - 1) * BATCH, i * BATCH) % len(x)
        grads = list(gradients(*p, x[rows], t[rows]))
        norm = np.sqrt(sum(np.sum(g**2) for g in grads))
        if clip and norm > clip:
            grads = [g * clip / norm for g in grads]
        for k, prefix in enumerate(("weight", "bias")):
            g = regularised(grads[k], p[k], getattr(layer, f"{prefix}_regu"), coef)
            rate = getattr(layer, f"{prefix}_lr") * lr.value(i)
            last, now = mom.value(i - 1), mom.value(i)
            if method == "SGD":
                v[k] = last * v[k] - rate * g
                p[k] = p[k] + v[k]
            else:
                new = last * v[k] - rate * g
                p[k] = p[k] - last * v[k] + (1 + now) * new
                v[k] = new
            p[k] = constrained(p[k], getattr(layer, f"{prefix}_cons"), i)
        history.append([a.copy() for a in p])
    return history


RATES = {"lr": LRPolicy.Fixed(0.1), "mom": MomPolicy.Fixed(0.0), "coef": 0.0005}
CASES = {
    "plain": ({}, {}),
    "momentum": ({}, {"mom": MomPolicy.Fixed(0.9)}),
    "momentum of the iteration before": ({}, {"mom": MomPolicy.Linear(0.1, 0.2, 2, 0.9)}),
    "falling rate": ({}, {"lr": LRPolicy.Inv(0.2, 0.5, 0.75), "mom": MomPolicy.Step(0.3, 1.5, 3, 0.8)}),
    "stages": ({}, {"lr": LRPolicy.Staged((4, LRPolicy.Fixed(0.2)), (2, LRPolicy.Fixed(0.01))),
                    "mom": MomPolicy.Staged((3, MomPolicy.Fixed(0.0)), (1, MomPolicy.Fixed(0.9)))}),
    "local rates": ({"weight_lr": 0.5, "bias_lr": 3.0}, {"mom": MomPolicy.Fixed(0.5)}),
    "no rate for the bias": ({"bias_lr": 0.0}, {}),
    "L2": ({"weight_regu": L2Regu(2.0), "bias_regu": L2Regu(0.5)}, {"coef": 0.1}),
    "L1": ({"weight_regu": L1Regu(2.0), "bias_regu": L1Regu(0.5)}, {"coef": 0.1}),
    "no regularisation": ({"weight_regu": NoRegu()}, {"coef": 0.5}),
    "coefficient 0": ({"weight_regu": L2Regu(2.0)}, {"coef": 0.0}),
    "bound on rows": ({"weight_cons": L2Cons(0.6), "bias_cons": L2Cons(0.2)}, {}),
    "bound every third": ({"weight_cons": L2Cons(0.3, 3), "bias_cons": L2Cons(0.1, 4)}, {"mom": MomPolicy.Fixed(0.5)}),
    "bound never": ({"weight_cons": L2Cons(0.3, 0)}, {}),
    "clipping": ({}, {"clip": 0.3, "mom": MomPolicy.Fixed(0.5), "coef": 0.01}),
    "clipping that is not reached": ({}, {"clip": 1e3}),
    "all": ({"weight_cons": L2Cons(0.7, 2), "weight_regu": L1Regu(1.0), "weight_lr": 0.7, "bias_regu": L2Regu(1.0)},
            {"lr": LRPolicy.Exp(0.2, 0.9), "mom": MomPolicy.Linear(0.2, 0.1, 1, 0.9), "coef": 0.02, "clip": 0.5}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", [SGD, Nesterov])
def test_against_numpy(kit, method, case):
    properties, changes = CASES[case]
    rates = {**RATES, **changes}
    layer = kit.ip(bias_init=ConstantInitializer(0.3), **properties)
    net = kit.net(layer, SquareLossLayer(name="loss", bottoms=["ip", "label"]))
    start = [net.params["ip"]["weight"], net.params["ip"]["bias"]]
    expected = by_hand(method.__name__, layer, kit.x, kit.t, start, iterations=10, **rates)
    seen = []
    solver = kit.solver(
        method(), lr_policy=rates["lr"], mom_policy=rates["mom"], regu_coef=rates["coef"],
        clip_gradients=rates.get("clip", 0.0),
    )  # fmt: skip
    solver.add_coffee_break(kit.do(lambda n, s: seen.append(kit.values(n))), every_n_iter=1)
    solver.solve(net)
    for iteration, (weight, bias) in enumerate([start, *expected]):
        np.testing.assert_allclose(seen[iteration]["ip/weight"], weight, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(seen[iteration]["ip/bias"], bias, rtol=1e-10, atol=1e-13)
    assert np.any(seen[-1]["ip/weight"] != start[0])


def test_the_factor_two_of_l2(kit):
    """One step on data that fit exactly: only the decay moves the weight."""
    layer = kit.ip(bias_term=False, weight_regu=L2Regu(3.0))
    net = kit.net(layer, SquareLossLayer(name="loss", bottoms=["ip", "ip"]))
    w = net.params["ip"]["weight"]
    kit.solver(max_iter=1, lr_policy=LRPolicy.Fixed(0.1), regu_coef=0.01).solve(net)
    np.testing.assert_allclose(net.params["ip"]["weight"], w * (1 - 0.1 * 2 * 3.0 * 0.01), rtol=1e-12)


def test_clipping_bounds_the_global_norm(kit):
    def step(clip):
        net = kit.deep(seed=1)
        before = kit.values(net)
        kit.solver(max_iter=1, lr_policy=LRPolicy.Fixed(1.0), regu_coef=0, clip_gradients=clip).solve(net)
        after = kit.values(net)
        kit.backend.registry.reset()
        # the rate of a bias is twice that of a weight
        return {k: (after[k] - before[k]) / (2 if k.endswith("bias") else 1) for k in after}

    free = step(0)
    norm = np.sqrt(sum(np.sum(d**2) for d in free.values()))
    assert norm > 0.1
    clipped = step(norm / 4)
    for key, moved in clipped.items():
        np.testing.assert_allclose(moved, free[key] / 4, rtol=1e-9, atol=1e-14)
    for clip in (norm * 1.001, 1e9, float("inf")):
        for key, moved in step(clip).items():
            np.testing.assert_array_equal(moved, free[key])


def test_sharers_are_updated_once(kit):
    layers = [kit.ip("a", param_key="w", output_dim=4), kit.ip("b", param_key="w", output_dim=4, bottoms=["a"])]
    net = kit.net(*layers, SquareLossLayer(name="loss", bottoms=["b", "data"]))
    net.forward_backward()
    w, g = net.params["a"]["weight"], net.gradients["w___weight"]
    net.rewind()
    kit.solver(max_iter=1, lr_policy=LRPolicy.Fixed(0.1), regu_coef=0.01).solve(net)
    np.testing.assert_allclose(net.params["b"]["weight"], w - 0.1 * (g + 2 * 0.01 * w), rtol=1e-12)
