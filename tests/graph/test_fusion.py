import numpy as np
import pytest

from mocha.backends import NumpyBackend
from mocha.graph import Graph, Section, build_program, derive_gradients
from mocha.ops import (
    AddBias,
    ClipByNorm,
    Convolution,
    GlobalNorm,
    InnerProduct,
    L2Decay,
    ReduceSum,
    ReLU,
    Scale,
    SgdStep,
    Sigmoid,
    SoftmaxLoss,
    Spec,
    Tanh,
)

F32 = np.dtype(np.float32)


def spec(*shape):
    return Spec(shape, F32)


def fused(g, keep=("y",), section=None):
    program = build_program("p", g, {}, keep=keep)
    return [node.op.name for node in program.nodes if section is None or node.section is section]


def convolution(g, bias=True):
    y = g(Convolution(pad=(1, 1)), g.input("x", spec(2, 3, 5, 5)), g.parameter("w", spec(4, 3, 3, 3)))
    return g(AddBias(), y, g.parameter("b", spec(4))) if bias else y


@pytest.mark.parametrize("activation", [ReLU(), Sigmoid(), Tanh()], ids=str)
def test_convolution_bias_activation(activation):
    g = Graph()
    g.blobs["y"] = g(activation, convolution(g))
    assert fused(g) == [f"Convolution+AddBias+{activation.name}"]


def test_convolution_activation():
    g = Graph()
    g.blobs["y"] = g(ReLU(), convolution(g, bias=False))
    assert fused(g) == ["Convolution+ReLU"]


def test_inner_product_bias_and_two_activations():
    g = Graph()
    y = g(InnerProduct(), g.input("x", spec(2, 3)), g.parameter("w", spec(4, 3)))
    y = g(Sigmoid(), g(ReLU(), g(AddBias(), y, g.parameter("b", spec(4)))))
    g.blobs["y"] = y
    assert fused(g) == ["InnerProduct+AddBias+ReLU+Sigmoid"]


def test_a_chain_stands_where_its_last_op_stood():
    g = Graph()
    y = convolution(g, bias=False)
    other = g(Scale(2.0), g.input("bias", spec(4)))
    g.blobs["y"] = g(AddBias(), y, other)
    assert fused(g) == ["Scale", "Convolution+AddBias"]


def test_a_kept_value_is_not_swallowed():
    g = Graph()
    g.blobs["h"] = convolution(g)
    g.blobs["y"] = g(ReLU(), g.blobs["h"])
    assert fused(g, ["h", "y"]) == ["Convolution+AddBias", "ReLU"]
    assert fused(g, None) == ["Convolution+AddBias", "ReLU"]
    assert fused(g, ["y"]) == ["Convolution+AddBias+ReLU"]


def test_a_value_with_several_users_is_not_swallowed():
    g = Graph()
    h = convolution(g)
    g.blobs["y"], g.blobs["z"] = g(ReLU(), h), g(Tanh(), h)
    assert fused(g, ["y", "z"]) == ["Convolution+AddBias", "ReLU", "Tanh"]


def test_a_value_that_backward_reads_is_not_swallowed():
    g = Graph()
    h = convolution(g)
    y = g(Scale(2.0), g(Sigmoid(), g(Tanh(), h)))
    loss = g(ReduceSum(), y)
    w = g.parameter("w", spec(4, 3, 3, 3))
    found = derive_gradients(g, {loss: 1.0}, [w])
    program = build_program("p", g, {"w": found[w]}, keep=["w"])
    # the gradient of tanh reads its output, so the chain ends there
    assert program.nodes[0].op.name == "Convolution+AddBias+Tanh"
    assert program.nodes[1].op.name == "Sigmoid"


def test_only_the_first_input_continues_a_chain():
    g = Graph()
    b = g(InnerProduct(), g.input("x", spec(1, 3)), g.parameter("w", spec(4, 3)))
    g.blobs["y"] = g(ClipByNorm(1.0), b, g.scalar("norm"))
    assert fused(g) == ["InnerProduct", "ClipByNorm"]


def test_sections_do_not_join():
    g = Graph()
    h = convolution(g, bias=False)
    with g.within("", Section.BACKWARD):
        g.blobs["y"] = g(ReLU(), h)
    assert fused(g) == ["Convolution", "ReLU"]


def test_the_way_of_a_gradient_into_its_parameter():
    g = Graph()
    w, v, grad = g.parameter("w", spec(3)), g.state("v", spec(3)), g.input("g", spec(3))
    with g.within("w", Section.UPDATE):
        norm = g(GlobalNorm(), grad)
        d = g(L2Decay(0.1), g(ClipByNorm(1.0), grad, norm), w)
        g.apply(SgdStep(), d, w, v, g.scalar("rate"), g.scalar("momentum"))
    program = build_program("p", g, {}, keep=[])
    assert [n.op.name for n in program.nodes] == ["GlobalNorm", "ClipByNorm+L2Decay+SgdStep"]
    chain = program.nodes[1]
    assert [(out.spec, into) for out, into in chain.updated()] == [(w.spec, w), (v.spec, v)]
    assert chain.outputs[0].producer is chain


def test_fuse_can_be_left_out():
    g = Graph()
    g.blobs["y"] = g(ReLU(), convolution(g))
    program = build_program("p", g, {}, keep=["y"], fuse=False)
    assert len(program.nodes) == 3


def _training_step():
    """A small net with its gradients and updates."""
    g = Graph()
    x, label = g.input("x", spec(4, 3, 5, 5)), g.input("label", spec(4))
    shapes = {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (3, 100), "b2": (3,)}
    p = {key: g.parameter(key, spec(*shape)) for key, shape in shapes.items()}
    h = g(ReLU(), g(AddBias(), g(Convolution(pad=(1, 1)), x, p["w1"]), p["b1"]))
    y = g(AddBias(), g(InnerProduct(), h, p["w2"]), p["b2"])
    g.losses["loss"] = g(SoftmaxLoss(), y, label)
    grads = derive_gradients(g, {g.losses["loss"]: 1.0}, p.values())
    with g.within("", Section.UPDATE):
        norm = g(GlobalNorm(), *(grads[value] for value in p.values()))
    for key, value in p.items():
        with g.within(key, Section.UPDATE):
            d = g(L2Decay(0.01), g(ClipByNorm(0.5), grads[value], norm), value)
            g.apply(SgdStep(), d, value, g.state(f"v {key}", value.spec), g.scalar("rate"), g.scalar("momentum"))
    return g, shapes


@pytest.mark.parametrize("keep", [None, ()], ids=["by hand", "by a solver"])
def test_fused_and_unfused_give_identical_values(keep):
    results = []
    for fuse in (False, True):
        g, shapes = _training_step()
        rng = np.random.default_rng(0)
        backend = NumpyBackend()
        for key, shape in shapes.items():
            backend.store.allocate(key, 0.3 * rng.standard_normal(shape).astype(np.float32))
            backend.store.allocate(f"v {key}", np.zeros(shape, np.float32))
        program = build_program("p", g, {}, keep=keep, fuse=fuse)
        assert any("+" in node.op.name for node in program.nodes) is fuse
        executable = backend.compile(program)
        executable.block.set({"rate": 0.1, "momentum": 0.9})
        feeds = {"x": rng.standard_normal((4, 3, 5, 5)).astype(np.float32), "label": np.array([0, 1, 2, 1], np.float32)}
        losses = []
        for _ in range(5):
            executable.run(*Section, feeds=feeds)
            losses.append(executable.read(program.losses["loss"]).item())
        results.append((losses, backend.store.arrays))
    (losses, arrays), (fused_losses, fused_arrays) = results
    assert losses == fused_losses
    assert losses[-1] < losses[0]
    for key in arrays:
        np.testing.assert_array_equal(arrays[key], fused_arrays[key])
