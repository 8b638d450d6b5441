import numpy as np

from mocha.backends import NumpyBackend
from mocha.graph import Graph, Section, build_program, derive_gradients
from mocha.ops import (
    Accuracy,
    Add,
    AddBias,
    Fill,
    Gradient,
    InnerProduct,
    Multiply,
    ReduceSum,
    ReLU,
    Scale,
    Sigmoid,
    Slice,
    SoftmaxLoss,
    Spec,
    Sum,
    Tanh,
)

F64 = np.dtype(np.float64)


def spec(*shape):
    return Spec(shape, F64)


def backward(g):
    return [str(node.op) for node in g.nodes if node.section is Section.BACKWARD]


def evaluate(g, gradients, feeds, stored=None):
    backend = NumpyBackend()
    for key, array in (stored or {}).items():
        backend.store.allocate(key, array)
    program = build_program("test", g, gradients, keep=None)
    executable = backend.compile(program)
    executable.run(*Section, feeds=feeds)
    return {name: executable.gradient(name) for name in gradients}


def numeric(f, x, eps=1e-6):
    grad = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += eps
        down[at] -= eps
        grad[at] = (f(up) - f(down)) / (2 * eps)
    return grad


def test_a_chain_runs_backward():
    g = Graph()
    x = g.input("x", spec(2, 3))
    loss = g(ReduceSum(), g(Tanh(), g(Scale(2.0), x)))
    found = derive_gradients(g, {loss: 3.0}, [x])
    assert [op.split("(")[0] for op in backward(g)] == ["Fill", "dReduceSum", "dTanh", "dScale"]
    at = np.random.default_rng(0).standard_normal((2, 3))
    dx = evaluate(g, {"x": found[x]}, {"x": at})["x"]
    np.testing.assert_allclose(dx, 3 * 2 / np.cosh(2 * at) ** 2)


def test_only_what_is_needed_is_computed():
    g = Graph()
    x, label = g.input("x", spec(4, 3)), g.input("label", spec(4))
    w, b = g.parameter("w", spec(2, 3)), g.parameter("b", spec(2))
    y = g(AddBias(), g(InnerProduct(), x, w), b)
    g(Accuracy(), y, label)
    loss = g(SoftmaxLoss(), y, label)
    found = derive_gradients(g, {loss: 1.0}, [w, b])
    assert [op.split("(")[0] for op in backward(g)] == [
        "Fill",
        "dSoftmaxLoss for input 0",
        "dAddBias",
        "dInnerProduct for input 1",
    ]
    assert set(found) >= {w, b, y, loss}
    assert x not in found
    assert label not in found


def test_a_frozen_layer_causes_no_nodes():
    g = Graph()
    x, w1, w2 = g.input("x", spec(4, 3)), g.parameter("w1", spec(5, 3)), g.parameter("w2", spec(2, 5))
    h = g(ReLU(), g(InnerProduct(), x, w1))
    loss = g(ReduceSum(), g(InnerProduct(), h, w2))
    derive_gradients(g, {loss: 1.0}, [w2])
    assert backward(g)[1:] == ["dReduceSum", "dInnerProduct for input 1"]


def test_nothing_wanted_nothing_computed():
    g = Graph()
    x = g.input("x", spec(4, 3))
    loss = g(ReduceSum(), g(ReLU(), x))
    assert derive_gradients(g, {loss: 1.0}, []) == {}
    assert derive_gradients(g, {}, [x]) == {}
    assert backward(g) == []


def test_what_the_objective_does_not_reach_has_no_entry():
    g = Graph()
    x = g.input("x", spec(4, 3))
    used, unused = g.parameter("used", spec(2, 3)), g.parameter("unused", spec(2, 3))
    g(InnerProduct(), x, unused)
    loss = g(ReduceSum(), g(InnerProduct(), x, used))
    found = derive_gradients(g, {loss: 1.0}, [used, unused])
    assert used in found
    assert unused not in found
    assert len(backward(g)) == 3


def test_no_gradient_passes_an_op_without_backward():
    g = Graph()
    x, label = g.input("x", spec(4, 3)), g.input("label", spec(4))
    right = g(Accuracy(), x, label)
    assert derive_gradients(g, {right: 1.0}, [x]) == {}


def test_several_uses_sum():
    g = Graph()
    x = g.input("x", spec(3))
    parts = [g(Scale(float(k)), x) for k in (1, 2, 4)]
    loss = g(ReduceSum(), g(Sum(), *parts))
    found = derive_gradients(g, {loss: 1.0}, [x])
    joins = [n for n in g.nodes if n.section is Section.BACKWARD and isinstance(n.op, Sum)]
    assert [len(n.inputs) for n in joins] == [3]
    np.testing.assert_array_equal(evaluate(g, {"x": found[x]}, {"x": np.ones(3)})["x"], [7, 7, 7])


def test_one_op_that_takes_a_value_twice():
    g = Graph()
    x = g.input("x", spec(3))
    found = derive_gradients(g, {g(ReduceSum(), g(Multiply(), x, x)): 1.0}, [x])
    at = np.array([1.0, -2.0, 3.0])
    np.testing.assert_array_equal(evaluate(g, {"x": found[x]}, {"x": at})["x"], 2 * at)


def test_a_shared_parameter_sums():
    g = Graph()
    x, w = g.input("x", spec(4, 3)), g.parameter("w", spec(3, 3))
    loss = g(ReduceSum(), g(Tanh(), g(InnerProduct(), g(Tanh(), g(InnerProduct(), x, w)), w)))
    found = derive_gradients(g, {loss: 1.0}, [w])
    rng = np.random.default_rng(0)
    at, values = rng.standard_normal((4, 3)), rng.standard_normal((3, 3))
    dw = evaluate(g, {"w": found[w]}, {"x": at}, {"w": values})["w"]
    np.testing.assert_allclose(
        dw, numeric(lambda w: np.tanh(np.tanh(at @ w.T) @ w.T).sum(), values), rtol=1e-6, atol=1e-8
    )


def test_diamonds():
    g = Graph()
    x = g.input("x", spec(5))
    a = g(Sigmoid(), x)
    left, right = g(Tanh(), a), g(Scale(3.0), a)
    inner = g(Multiply(), left, right)
    loss = g(ReduceSum(), g(Add(), inner, g(Multiply(), inner, a)))
    found = derive_gradients(g, {loss: 1.0}, [x])

    def f(x):
        a = 1 / (1 + np.exp(-x))
        inner = np.tanh(a) * 3 * a
        return (inner + inner * a).sum()

    at = np.random.default_rng(0).standard_normal(5)
    np.testing.assert_allclose(evaluate(g, {"x": found[x]}, {"x": at})["x"], numeric(f, at), rtol=1e-7)


def test_unused_pieces_of_a_slice_have_the_gradient_zero():
    g = Graph()
    x = g.input("x", spec(2, 6))
    _, middle, _ = g.apply(Slice((1, 2, 3)), x)
    found = derive_gradients(g, {g(ReduceSum(), middle): 1.0}, [x])
    fills = [n for n in g.nodes if isinstance(n.op, Fill)]
    assert sorted(n.outputs[0].shape for n in fills) == [(), (2, 1), (2, 3)]
    dx = evaluate(g, {"x": found[x]}, {"x": np.zeros((2, 6))})["x"]
    np.testing.assert_array_equal(dx, [[0, 1, 1, 0, 0, 0]] * 2)


def test_an_objective_of_several_weighted_losses_also_on_the_way_to_another():
    g = Graph()
    x = g.input("x", spec(3))
    first = g(ReduceSum(), g(Scale(2.0), x))
    second = g(Scale(10.0), first)
    found = derive_gradients(g, {first: 0.5, second: 1.0}, [x])
    np.testing.assert_array_equal(evaluate(g, {"x": found[x]}, {"x": np.zeros(3)})["x"], [21.0] * 3)


def test_values_between_and_the_objective_itself_have_gradients():
    g = Graph()
    x = g.input("x", spec(3))
    h = g(Scale(2.0), x)
    loss = g(ReduceSum(), h)
    found = derive_gradients(g, {loss: 1.0}, [x])
    assert set(found) == {x, h, loss}
    assert {v.name for v in found.values()} == {"d x", "d Scale", "d ReduceSum"}


def test_nodes_know_their_layer():
    g = Graph()
    with g.within("ip"):
        y = g(InnerProduct(), g.input("x", spec(4, 3)), g.parameter("w", spec(2, 3)))
    with g.within("loss"):
        loss = g(ReduceSum(), y)
    derive_gradients(g, {loss: 1.0}, g.sources(g.parameter("w", spec(2, 3)).kind))
    layers = [(n.layer, n.op.name) for n in g.nodes if n.section is Section.BACKWARD]
    assert layers == [("loss", "Fill"), ("loss", "dReduceSum"), ("ip", "dInnerProduct")]


def test_auxiliary_outputs_get_no_gradient():
    g = Graph()
    x, label = g.input("x", spec(4, 3)), g.input("label", spec(4))
    outputs = g.apply(SoftmaxLoss(), x, label)
    derive_gradients(g, {outputs[0]: 1.0}, [x])
    (node,) = [n for n in g.nodes if isinstance(n.op, Gradient)]
    assert node.inputs[:2] == (label, outputs[1])
    assert len(node.inputs) == 3
