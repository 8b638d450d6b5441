"""The native kernels at shapes that straddle their blocking sizes, each held against the reference."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("mocha._native", reason="the native library was not built: no C++ compiler at installation")

from tests.backends.native_shapes import (
    BY_TILES,
    CONVOLUTIONS,
    DENSE,
    SPOILED,
    TILES_TOLERANCE,
    adjoints,
    conv,
    dense,
    lengths,
    poolings,
)

from mocha import _native
from mocha.backends import NativeBackend
from mocha.backends import native as room
from mocha.backends.native import ways
from mocha.graph import Graph, Phase, build_program, derive_gradients
from mocha.ops import ReduceSum, Spec
from mocha.testing import check_agreement

SETS = _native.instruction_sets()


@pytest.fixture
def set_isa(monkeypatch):
    """Sets the instruction set of backends that are made from now on, which use two threads."""
    monkeypatch.setattr(room._Threads, "count", 2)
    return lambda isa: monkeypatch.setenv("MOCHA_NATIVE_ISA", isa)


@pytest.fixture(params=SETS)
def backend(request, set_isa):
    """A native backend for each instruction set."""
    set_isa(request.param)
    with NativeBackend() as backend:
        yield backend


def _settings(*, slow_rest):
    """Instruction sets with types. Of all but the best set one type will do, unless slow tests are asked for."""
    for isa in SETS:
        for dtype in ("float32", "float64"):
            slow = (isa != SETS[0] and dtype == "float64") or (slow_rest and (isa, dtype) != (SETS[0], "float32"))
            yield pytest.param((isa, dtype), marks=[pytest.mark.slow] if slow else [], id=f"{isa}-{dtype}")


@pytest.fixture(params=_settings(slow_rest=False))
def setting(request, set_isa):
    """A native backend, and a type."""
    isa, dtype = request.param
    set_isa(isa)
    with NativeBackend() as backend:
        yield backend, dtype


@pytest.fixture(params=_settings(slow_rest=True))
def testing(request, set_isa):
    """A native backend that takes all programs for those of the test phase, and a type."""
    isa, dtype = request.param
    set_isa(isa)
    with _Testing() as backend:
        yield backend, dtype


class _Testing(NativeBackend):
    """In the test phase filters are packed before the first run."""

    def compile(self, program):
        return super().compile(dataclasses.replace(program, phase=Phase.TEST))


@pytest.mark.parametrize("what", CONVOLUTIONS)
def test_convolution(setting, what):
    for case in CONVOLUTIONS[what]:
        check_agreement(case, *setting, reuse=True)


@pytest.mark.parametrize("what", CONVOLUTIONS)
def test_convolution_with_packed_filters(testing, what):
    for case in CONVOLUTIONS[what]:
        check_agreement(case, *testing)


@pytest.mark.parametrize("what", CONVOLUTIONS)
def test_adjoint_of_convolution(setting, what):
    for case in adjoints(CONVOLUTIONS[what]):
        check_agreement(case, *setting, reuse=True)


@pytest.mark.parametrize("what", DENSE)
def test_inner_product(setting, what):
    for case in DENSE[what]:
        check_agreement(case, *setting, reuse=True)


# -- by Winograd's tiles


@pytest.fixture
def tiles_everywhere(monkeypatch):
    """Convolutions by tiles wherever there are kernels for them, whether that pays or not."""
    monkeypatch.setattr(ways, "_WORTH", math.inf)


@pytest.mark.parametrize("what", BY_TILES)
def test_convolution_by_tiles(tiles_everywhere, backend, what):
    for case in BY_TILES[what]:
        check_agreement(case, backend, "float32", reuse=True, tolerance=TILES_TOLERANCE)


@pytest.mark.parametrize("what", BY_TILES)
def test_adjoint_by_tiles(tiles_everywhere, backend, what):
    for case in adjoints(BY_TILES[what]):
        check_agreement(case, backend, "float32", reuse=True, tolerance=TILES_TOLERANCE)


@pytest.mark.parametrize("what", BY_TILES)
def test_convolution_by_tiles_with_packed_filters(tiles_everywhere, testing, what):
    for case in BY_TILES[what]:
        check_agreement(case, *testing, tolerance=TILES_TOLERANCE)


def test_what_is_not_finite_stays_where_it_belongs(tiles_everywhere, backend, set_isa):
    set_isa(backend.instruction_set)
    with _Testing() as testing:
        for case in SPOILED:
            check_agreement(case, backend, "float32", tolerance=TILES_TOLERANCE)
            check_agreement(case, testing, "float32", tolerance=TILES_TOLERANCE)


MIXED = ["winograd", "conv", "winograd"]


@pytest.mark.parametrize(
    ("case", "phase", "dtype", "expected"),
    [
        # the gradient of the input is the larger one here, and has more tiles than it has results
        (
            conv(n=64, c=20, size=(12, 12), k=50, kernel=(5, 5)),
            Phase.TRAIN,
            "float32",
            ["winograd", "conv", "winograd"],
        ),
        (conv(n=9, c=32, size=(16, 16), k=32, pad=(1, 1)), Phase.TRAIN, "float32", ["winograd"] * 3),
        (conv(n=9, c=32, size=(16, 16), k=32, pad=(1, 1)), Phase.TRAIN, "float64", ["conv"] * 3),
        (conv(n=9, c=32, size=(16, 16), k=32, stride=(2, 2)), Phase.TRAIN, "float32", ["conv"] * 3),
        (conv(n=9, c=32, size=(16, 16), k=32, kernel=(3, 5)), Phase.TRAIN, "float32", ["conv"] * 3),
        # few tiles pay only where the filters were packed before
        (conv(c=64, size=(13, 13), k=64, pad=(1, 1)), Phase.TRAIN, "float32", ["conv"] * 3),
        (conv(c=64, size=(13, 13), k=64, pad=(1, 1)), Phase.TEST, "float32", ["winograd"]),
    ],
    ids=str,
)
def test_tiles_are_taken_where_they_pay(case, phase, dtype, expected):
    graph = Graph(phase)
    x, w, b = case.inputs
    inputs = [graph.input("x", Spec(x, np.dtype(dtype)))]
    inputs += [graph.parameter(f"tiles/{name}", Spec(shape, np.dtype(dtype))) for name, shape in (("w", w), ("b", b))]
    product, add_bias = case.op.steps
    graph.blobs["y"] = graph(add_bias, graph(product, *inputs[:2]), inputs[2])
    total = graph(ReduceSum(), graph.blobs["y"])
    gradients = derive_gradients(graph, {total: 1.0}, inputs) if phase is Phase.TRAIN else {}
    with NativeBackend() as backend:
        for value in inputs[1:]:
            backend.store.allocate(value.name, np.zeros(value.shape, dtype))
        named = {value.name: gradient for value, gradient in gradients.items()}
        program = build_program("tiles", graph, named, keep=None, channels_last=backend.channels_last)
        kernels = [step.kernel or "" for step in backend.compile(program).steps]
    ways = [kernel.split("_")[0] for kernel in kernels if "forward" in kernel or "backward" in kernel]
    assert [way for way in ways if way in ("conv", "winograd")] == expected


@st.composite
def geometries(draw):
    """Any convolution of a moderate size."""
    small = st.integers(1, 4)
    groups = draw(st.sampled_from((1, 1, 1, 2, 3, 4)))
    kernel, dilation, pad = (draw(st.tuples(numbers, numbers)) for numbers in (small, small, st.integers(0, 4)))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, pad, strict=True)]
    return conv(
        n=draw(st.integers(1, 5)),
        c=groups * draw(st.integers(1, 40)),
        size=tuple(low + draw(st.integers(0, 12)) for low in least),
        k=groups * draw(st.integers(1, 70)),
        kernel=kernel,
        stride=draw(st.tuples(small, small)),
        pad=pad,
        dilation=dilation,
        groups=groups,
    )


bounded = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@bounded
@given(case=geometries(), threads=st.integers(1, 5), dtype=st.sampled_from(("float32", "float64")))
def test_any_convolution(backend, case, threads, dtype):
    room._Threads.count = threads
    check_agreement(case, backend, dtype)


@bounded
@given(
    n=st.integers(1, 40),
    d=st.integers(1, 600),
    k=st.integers(4, 130),  # a single result may cancel to nothing, which leaves no measure for its error
    threads=st.integers(1, 5),
    dtype=st.sampled_from(("float32", "float64")),
)
def test_any_inner_product(backend, n, d, k, threads, dtype):
    room._Threads.count = threads
    check_agreement(dense(n, d, k), backend, dtype)


# -- the families without products


@pytest.mark.parametrize("table", [poolings, lengths])
def test_the_others(setting, table):
    for case in table():
        check_agreement(case, *setting)
