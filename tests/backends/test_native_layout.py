"""Ops that work in any layout, behind a convolution, whose result lies channels last in the native backend."""

import numpy as np
import pytest

pytest.importorskip("mocha._native", reason="the native library was not built: no C++ compiler at installation")

from mocha.backends import NativeBackend, NumpyBackend
from mocha.graph import Graph, Layout, Section, build_program, derive_gradients
from mocha.ops import (
    ELU,
    Clip,
    Convolution,
    L2Normalize,
    Maximum,
    Multiply,
    PReLU,
    ReduceSum,
    Scale,
    Softplus,
    Spec,
    Standardize,
    Swish,
    Threshold,
    Tile,
    TopK,
    Transpose,
    Window,
)

SHAPE = (2, 5, 4, 3)  # of the convolution's result

# op, whether its result lies channels last
OPS = [
    (ELU(), True),
    (Softplus(), True),
    (Swish(), True),
    (Clip(-1.0, 1.0), True),
    (Threshold(), True),
    (PReLU(), True),
    (Maximum(), True),
    (Tile(0, 2), True),
    (Tile(1, 3), True),
    (Tile(2, 2), True),
    (Tile(3, 2), True),
    (Window((0, 0, 1, 1), (2, 5, 2, 2)), True),
    (Window((1, 2, 0, 0), (1, 3, 4, 3)), True),
    (Window((1, 1, 1, 1), (1, 2, 3, 1)), True),
    (TopK(2), True),
    (TopK(2, axis=3), True),
    (L2Normalize(), True),
    (L2Normalize(axis=2), True),
    (Standardize(1), True),
    (Standardize(2), False),
    (Transpose((0, 2, 3, 1)), False),
]


def run(kind, op):
    """Whether the op's result lies channels last; the result and the gradients."""
    rng = np.random.default_rng(0)
    feeds = {"x": (2, 3, 6, 5), "w": (5, 3, 3, 3)}
    if isinstance(op, PReLU):
        feeds["slope"] = (5,)
    with kind() as backend:
        g = Graph()
        given = {name: g.input(name, Spec(shape, np.dtype(np.float32))) for name, shape in feeds.items()}
        before = g(Convolution(), given["x"], given["w"])
        assert before.shape == SHAPE
        others = [given["slope"]] if "slope" in given else [g(Scale(-1.0), before)] if isinstance(op, Maximum) else []
        outputs = g.apply(op, before, *others)
        y = outputs[0]
        g.blobs.update({f"y{k}": out for k, out in enumerate(outputs)})
        gradients = {}
        if op.differentiable(1 + len(others)):
            feeds["weight"] = y.shape
            weight = given["weight"] = g.input("weight", y.spec)
            objective = {g(ReduceSum(), g(Multiply(), y, weight)): 1.0}
            wanted = [name for name in given if name != "weight"]
            found = derive_gradients(g, objective, [given[name] for name in wanted])
            gradients = {name: found[given[name]] for name in wanted}
        program = build_program("p", g, gradients, keep=None, channels_last=backend.channels_last)
        executable = backend.compile(program)
        arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in feeds.items()}
        executable.run(Section.FORWARD, *([Section.BACKWARD] if gradients else []), feeds=arrays)
        if kind is NativeBackend:
            assert all(kernel for _, kernel in executable.steps)
        results = {name: executable.blob(name) for name in g.blobs}
        results |= {f"gradient of {name}": executable.gradient(name) for name in gradients}
        return program.layouts.get(y) is Layout.CHANNELS_LAST, results


@pytest.mark.parametrize(("op", "last"), OPS, ids=[str(op) for op, _ in OPS])
def test_channels_last(op, last):
    lies_last, found = run(NativeBackend, op)
    _, expected = run(NumpyBackend, op)
    assert lies_last == last
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=2e-5, err_msg=name)
