"""Neighbouring calls that treat element by element become one generated kernel."""

import numpy as np
import pytest
from tests.backends.cuda.emulation import NEEDS_COMPILER, emulated

from mocha.backends import NumpyBackend
from mocha.backends.cuda.steps import KernelStep
from mocha.graph import Graph, Section, build_program, derive_gradients
from mocha.ops import (
    ELU,
    Abs,
    Add,
    AddBias,
    BatchNormTest,
    Clip,
    Concat,
    Divide,
    Exp,
    Identity,
    LeakyReLU,
    Log,
    Multiply,
    Power,
    PReLU,
    ReduceSum,
    ReLU,
    Reshape,
    Scale,
    ScaleChannels,
    Sigmoid,
    Softplus,
    Spec,
    Subtract,
    Sum,
    Swish,
    Tanh,
)
from mocha.testing import FAMILIES
from mocha.testing.cuda.kernels import check_kernels

pytestmark = NEEDS_COMPILER

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def built(g, backend, keep=("out",), gradients=None):
    return build_program("chains", g, gradients or {}, keep=keep, **backend.wishes)


def kernels(executable, section=Section.FORWARD):
    return [step.about for step in executable.steps[section] if isinstance(step, KernelStep)]


def run(backend, g, feeds, *, keep=("out",), gradients=None, stored=()):
    for key, array in stored:
        backend.store.allocate(key, array)
    program = built(g, backend, keep, gradients)
    executable = backend.compile(program)
    sections = [section for section in Section if program.section(section)]
    executable.run(*sections, feeds={value.name: feeds[value.name] for value in program.inputs})
    found = {name: executable.blob(name) for name in program.blobs}
    found |= {f"d {name}": executable.gradient(name) for name in program.gradients}
    return executable, found


def both(make_graph, feeds, **options):
    """The kernels of a graph, after a comparison of what it computes with the reference."""
    results = []
    for make in (emulated, NumpyBackend):
        backend = make()
        g, more = make_graph()
        results.append(run(backend, g, feeds, **{**options, **more}))
    (executable, found), (_, expected) = results
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=2e-5, atol=1e-6, err_msg=name)
    return executable


def test_a_chain_is_one_kernel_and_writes_only_its_end():
    def graph():
        g = Graph()
        x, y = (g.input(name, Spec((3, 5), F32)) for name in "xy")
        with g.within("all"):
            g.blobs["out"] = g(ReLU(), g(Add(), g(Scale(2.0), x), g(Sigmoid(), y)))
        return g, {}

    rng = np.random.default_rng(0)
    feeds = {name: rng.standard_normal((3, 5), np.float32) for name in "xy"}
    executable = both(graph, feeds)
    assert kernels(executable) == ["scale", "sigmoid_forward+add+relu_forward"]


def test_what_somebody_reads_between_is_written():
    def graph():
        g = Graph()
        x = g.input("x", Spec((4, 4), F32))
        with g.within("all"):
            g.blobs["between"] = g(Scale(2.0), x)
            g.blobs["out"] = g(Tanh(), g.blobs["between"])
        return g, {}

    feeds = {"x": np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4)}
    assert kernels(both(graph, feeds, keep=("between", "out"))) == ["scale+tanh_forward"]


def test_sizes_that_are_no_multiple_of_four_and_channels():
    """Batch normalisation in testing, scale, bias, a sum and an activation: one kernel."""
    for shape in ((3, 5, 3, 3), (2, 3, 1, 1), (1, 7, 5, 2)):

        def graph(shape=shape):
            g = Graph()
            channels = Spec((shape[1],), F32)
            x, other = (g.input(name, Spec(shape, F32)) for name in ("x", "other"))
            mean, var, scale, bias = (g.input(name, channels) for name in ("mean", "var", "scale", "bias"))
            with g.within("all"):
                y = g(BatchNormTest(1e-5), x, mean, var)
                y = g(AddBias(), g(ScaleChannels(), y, scale), bias)
                g.blobs["out"] = g(ReLU(), g(Sum(), y, other))
            return g, {}

        rng = np.random.default_rng(1)
        feeds = {name: rng.standard_normal(shape, np.float32) for name in ("x", "other")}
        feeds |= {name: rng.uniform(0.5, 2, shape[1]).astype(np.float32) for name in ("mean", "var", "scale", "bias")}
        executable = both(graph, feeds)
        assert kernels(executable)[-1] == (
            "batch_norm_test_forward+scale_channels+bias_forward+sum_forward+relu_forward"
        )


ALL = (
    Abs(), Exp(), LeakyReLU(0.1), Power(2.0, 0.5, 1.0), ReLU(), Scale(-1.5), Sigmoid(), Tanh(), ELU(0.7), Softplus(),
    Swish(1.3), Clip(-0.5, 0.5),
)  # fmt: skip


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_all_functions_in_one_chain_with_gradients(dtype):
    def graph():
        g = Graph()
        a, b = (g.input(name, Spec((2, 9), dtype)) for name in "ab")
        with g.within("all"):
            y = a
            for op in ALL:
                y = g(op, y)
                y = g(Subtract(), g(Multiply(), y, b), g(Divide(), a, b))
            y = g(Log(), g(Add(), g(Multiply(), y, y), g(Exp(), b)))
            g.blobs["out"] = y
            g.blobs["total"] = g(ReduceSum(), y)
        found = derive_gradients(g, {g.blobs["total"]: 1.0}, [a, b])
        return g, {"gradients": {"a": found[a], "b": found[b]}}

    rng = np.random.default_rng(2)
    feeds = {"a": rng.uniform(0.5, 1.5, (2, 9)).astype(dtype), "b": rng.uniform(1, 2, (2, 9)).astype(dtype)}
    executable = both(graph, feeds, keep=("out", "a", "b"))
    longest = max(kernels(executable), key=len)
    assert longest.count("+") >= 8, "no long chain was made"


def test_memory_that_two_elements_would_meet_in_keeps_calls_apart():
    """PReLU's slope is computed from what the chain overwrites: it must be read before."""

    def graph():
        g = Graph()
        x = g.input("x", Spec((3, 3), F32))
        with g.within("all"):
            slope = g(ReduceSum((0,)), x)
            doubled = g(Scale(2.0), x)
            y = g(PReLU(), doubled, slope)
            g.blobs["out"] = g(Concat(axis=0), g(Tanh(), y), y)
        return g, {}

    feeds = {"x": np.arange(-4, 5, dtype=np.float32).reshape(3, 3) / 4}
    both(graph, feeds)


@pytest.mark.parametrize("view", [Identity(), Reshape((3, 5))], ids=str)
@pytest.mark.parametrize("keep", [("out",), ("out", "first"), ("out", "second")], ids=str)
def test_another_name_of_what_a_chain_computes_is_the_same_number(view, keep):
    """A view of it is no array of its own, which would be read before it is written."""

    def graph():
        g = Graph()
        x = g.input("x", Spec((3, 5), F32))
        with g.within("all"):
            first = g(Tanh(), x)
            second = g(view, first)
            g.blobs |= {"first": first, "second": second}
            g.blobs["out"] = g(Multiply(), g(Add(), second, x), g(view, second))
        return g, {}

    executable = both(graph, {"x": np.linspace(-2, 2, 15, dtype=np.float32).reshape(3, 5)}, keep=keep)
    assert kernels(executable) == ["tanh_forward+add+multiply"]


def test_a_view_that_is_read_elsewhere_is_written():
    def graph():
        g = Graph()
        x = g.input("x", Spec((3, 5), F32))
        with g.within("all"):
            first = g(Tanh(), x)
            y = g(Add(), g(Identity(), first), x)
            g.blobs["out"] = g(Concat(axis=0), y, g(Reshape((3, 5)), first))
        return g, {}

    both(graph, {"x": np.linspace(-2, 2, 15, dtype=np.float32).reshape(3, 5)})


def test_a_gradient_passed_on_in_place_is_the_same_number():
    """On the way back a sum hands its gradient on without a copy, under another name."""

    def graph():
        g = Graph()
        x = g.input("x", Spec((3, 5), F32))
        with g.within("all"):
            hidden = g(ReLU(), x)
            y = g(Multiply(), g(Add(), hidden, x), g(Scale(0.5), g(Tanh(), g(Sum(), hidden, hidden, x))))
            g.blobs |= {"out": y, "total": g(ReduceSum(), g(Tanh(), y))}
        found = derive_gradients(g, {g.blobs["total"]: 1.0}, [x])
        return g, {"gradients": {"x": found[x]}}

    both(graph, {"x": np.linspace(-2, 2, 15, dtype=np.float32).reshape(3, 5)}, keep=("total", "x"))


def test_what_leads_to_nothing_is_left_out_of_a_chain():
    """Of two gradients that one node computes, one may be wanted by nobody."""

    def graph():
        g = Graph()
        a, b = (g.input(name, Spec((3, 5), F32)) for name in "ab")
        with g.within("all"):
            y = g(Tanh(), g(Subtract(), g(Sigmoid(), a), g(Scale(2.0), b)))
            g.blobs["out"] = g(ReduceSum(), y)
        found = derive_gradients(g, {g.blobs["out"]: 1.0}, [a, b])
        return g, {"gradients": {"a": found[a], "b": found[b]}}

    rng = np.random.default_rng(3)
    feeds = {name: rng.standard_normal((3, 5), np.float32) for name in "ab"}
    for keep in (("out", "a"), ("out", "b"), ("out",)):
        both(graph, feeds, keep=keep)


@pytest.mark.parametrize("seed", range(12))
def test_any_chains_agree_with_the_reference(seed):
    """Random graphs of what chains are made of: views, sums of one value with itself, numbers by channel, blobs."""

    def graph():
        rng = np.random.default_rng(seed)
        g = Graph()
        shape = [(2, 3), (1, 4), (2, 3, 5), (1, 3, 1, 1)][seed % 4]
        full = [g.input(name, Spec(shape, F32)) for name in "xy"]
        channel = g.input("channel", Spec(shape[1:2], F32))
        unary = [Tanh(), ReLU(), Scale(0.5), Abs(), Identity(), Identity(), Reshape(shape)]
        with g.within("all"):
            for step in range(10):
                a, b = (full[-1 - min(int(rng.exponential(1.5)), len(full) - 1)] for _ in range(2))
                kind = rng.integers(4)
                if kind == 0:
                    made = g([Add(), Multiply(), Subtract(), Sum()][rng.integers(4)], a, b)
                elif kind == 1:
                    made = g([AddBias(), ScaleChannels()][rng.integers(2)], a, channel)
                else:
                    made = g(unary[rng.integers(len(unary))], a)
                full.append(made)
                if rng.random() < 0.2:
                    g.blobs[f"blob{step}"] = made
            g.blobs["out"] = full[-1]
            g.blobs["total"] = g(ReduceSum(), g(Tanh(), full[-1]))
        found = derive_gradients(g, {g.blobs["total"]: 1.0}, full[:2])
        keep = [None, ("total", "x", "y"), tuple(g.blobs), ("out",)][seed // 3]
        return g, {"gradients": {v.name: found[v] for v in full[:2] if v in found}, "keep": keep}

    rng = np.random.default_rng(seed)
    shape = graph()[0].blobs["x"].shape
    feeds = {name: rng.standard_normal(shape, np.float32) for name in "xy"}
    feeds["channel"] = rng.standard_normal(shape[1], np.float32)
    both(graph, feeds)


@pytest.mark.parametrize("family", ["pointwise", "activation", "maximum"])
def test_cases_agree_with_chains_too(family):
    tally = check_kernels(emulated, [family], dtypes=["float32"])
    assert not tally.wrong
    assert tally.runs == 2 * len(FAMILIES[family])
