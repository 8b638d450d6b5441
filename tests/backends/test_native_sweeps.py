"""Shapes that straddle the blocking sizes of the native kernels, each held against the reference.

The sizes that the kernels cut work into: vectors of 4, 8 and 16 floats (half as many doubles), panels of up to four
vectors of filters or units beside tiles of 6, 8 or 12 rows, 512 elements and 384 units of an inner product at a time,
panels of 128 KiB and slabs of 192 KiB of a convolution, matrices of filter gradients up to 1 MiB for each thread, and
a few thousand elements of pointwise work as what a thread is worth.
"""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("mocha._native", reason="the native library was not built: no C++ compiler at installation")

from mocha import _native
from mocha.backends import NativeBackend
from mocha.backends import native as room
from mocha.graph import Phase
from mocha.ops import (
    Abs,
    Add,
    AddBias,
    Chain,
    Convolution,
    Dropout,
    Exp,
    InnerProduct,
    LeakyReLU,
    MaxPooling,
    MeanPooling,
    ReduceMean,
    ReduceSum,
    ReLU,
    Sigmoid,
    Softmax,
    SoftmaxLoss,
    SquareLoss,
    Tanh,
)
from mocha.testing import Case, check_agreement
from mocha.testing.case import apart, labels, number

SETS = _native.instruction_sets()
AROUND_VECTORS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 23, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 70)


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


def _chain(about, product, activation, inputs):
    """A product with its bias, and perhaps an activation, which all kernels compute by one call."""
    steps = (product, AddBias(), *([activation] if activation else []))
    op = Chain(steps, (2, 2, 1)[: len(steps)])
    return Case(about, op, inputs, checked=(), parameters=(1, 2))


# Activations only where results are few: one that is 0 but for rounding has a gradient here and none there.


def conv(
    n=1, c=3, size=(4, 5), k=4, kernel=(3, 3), stride=(1, 1), pad=(0, 0), dilation=(1, 1), groups=1, activation=None
):
    """A convolution with bias, and the gradients of all three inputs."""
    about = f"{n}x{c}x{size[0]}x{size[1]}, {k} of {kernel}"
    inputs = ((n, c, *size), (k, c // groups, *kernel), (k,))
    return _chain(about, Convolution(stride, pad, dilation, groups), activation, inputs)


def dense(n, d, k, activation=None):
    """An inner product with bias, and the gradients of all three inputs."""
    return _chain(f"{n}x{d}, {k} units", InnerProduct(), activation, ((n, d), (k, d), (k,)))


CONVOLUTIONS = {
    "channels": [conv(c=c, k=9, activation=ReLU()) for c in AROUND_VECTORS],
    "channels, no joined rows": [conv(c=c, k=9, dilation=(1, 2), size=(4, 6)) for c in AROUND_VECTORS],
    "filters": [conv(c=5, k=k) for k in (*AROUND_VECTORS, 66, 96, 97, 127, 128, 129)],
    "pixels": [
        conv(c=2, size=(1, width), k=k, kernel=(1, 2)) for k in (3, 20, 40, 60) for width in (*range(2, 16), 25, 26)
    ],
    "batch": [conv(n=n, c=c, k=7, pad=(1, 1)) for n in range(1, 6) for c in (1, 5, 17)],
    "1x1": [conv(n=2, c=c, k=k, kernel=(1, 1)) for c in (1, 4, 17, 70) for k in (1, 6, 33, 65)],
    "1x1, stride 2": [conv(n=2, c=c, k=c + 1, kernel=(1, 1), stride=(2, 2)) for c in (1, 15, 16, 17)],
    "panels in parts": [
        conv(c=64, size=(6, 5), k=70, kernel=(5, 3), activation=ReLU()),
        conv(c=180, size=(4, 4), k=64, kernel=(3, 3), activation=ReLU()),
        conv(c=300, size=(5, 5), k=33, kernel=(5, 3), pad=(1, 1), activation=ReLU()),
        conv(c=600, size=(3, 4), k=17, kernel=(3, 4), activation=ReLU()),
        conv(c=520, size=(3, 4), k=66, kernel=(2, 2), dilation=(1, 2), activation=ReLU()),
        conv(c=8, size=(13, 12), k=66, kernel=(11, 11), pad=(1, 0), activation=ReLU()),
    ],
    "slabs of some rows": [
        conv(c=32, size=(12, 200), k=6, pad=(1, 1)),
        conv(c=32, size=(13, 200), k=6, pad=(1, 1), stride=(2, 3)),
        conv(n=2, c=1, size=(230, 230), k=2, kernel=(5, 5), pad=(2, 2)),
    ],
    "large filter gradients": [
        conv(n=3, c=256, size=(4, 4), k=130),
        conv(n=2, c=130, size=(3, 4), k=260, pad=(1, 1)),
    ],
    "small images, many of them": [conv(n=n, c=4, size=(3, 3), k=5, pad=(1, 1)) for n in (15, 64, 65, 130)],
    "padding": [
        conv(size=(3, 3), pad=(20, 20)),
        conv(size=(3, 3), pad=(0, 9)),
        conv(size=(1, 1), pad=(7, 1), kernel=(4, 2)),
        conv(size=(2, 3), k=18, kernel=(2, 2), pad=(11, 5), stride=(5, 7)),
        conv(size=(2, 3), kernel=(1, 1), pad=(3, 3), stride=(2, 2)),
    ],
    "stride beyond the kernel": [
        conv(n=2, c=c, size=(19, 23), k=7, kernel=kernel, stride=(6, 5), pad=pad)
        for c in (3, 17)
        for kernel in ((2, 2), (1, 3))
        for pad in ((0, 0), (1, 2))
    ],
    "dilation": [
        conv(n=2, c=c, size=(15, 17), k=7, dilation=dilation, pad=(3, 2))
        for c in (1, 3, 17)
        for dilation in ((2, 1), (1, 2), (3, 4), (5, 5))
    ],
    "groups": [
        conv(n=2, c=groups * c, k=groups * k, groups=groups, pad=(1, 1))
        for groups in (2, 3, 5)
        for c in (1, 3, 16, 17)
        for k in (1, 4, 33)
    ],
    "depthwise": [conv(n=2, c=c, k=c * m, groups=c, pad=(1, 1)) for c in (*AROUND_VECTORS[:-6], 70) for m in (1, 2)],
    "one wide kernel": [conv(c=2, size=(3, 40), kernel=(1, 37)), conv(c=3, size=(40, 2), kernel=(39, 1), pad=(2, 0))],
}

DENSE = {
    "features": [dense(5, d, 7, LeakyReLU(0.1)) for d in (*AROUND_VECTORS, 96, 127, 128, 129)],
    "units": [dense(5, 6, k) for k in (*AROUND_VECTORS, 96, 127, 128, 129)],
    "examples": [dense(n, 9, 5) for n in range(1, 28)],
    "features in parts": [dense(n, d, 7, ReLU()) for n in (1, 5) for d in (511, 512, 513, 520, 1024, 1025, 1540)],
    "units in parts": [dense(n, d, k) for n, d in ((3, 5), (13, 70)) for k in (383, 384, 385, 768, 769)],
    "tiles": [dense(n, d, k, ReLU()) for n in (2, 4, 9) for d in (1, 17, 65) for k in (2, 6, 13, 34)],
}


@pytest.mark.parametrize("what", CONVOLUTIONS)
def test_convolution(setting, what):
    for case in CONVOLUTIONS[what]:
        check_agreement(case, *setting, reuse=True)


@pytest.mark.parametrize("what", CONVOLUTIONS)
def test_convolution_with_packed_filters(testing, what):
    for case in CONVOLUTIONS[what]:
        check_agreement(case, *testing)


@pytest.mark.parametrize("what", DENSE)
def test_inner_product(setting, what):
    for case in DENSE[what]:
        check_agreement(case, *setting, reuse=True)


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
    k=st.integers(1, 130),
    threads=st.integers(1, 5),
    dtype=st.sampled_from(("float32", "float64")),
)
def test_any_inner_product(backend, n, d, k, threads, dtype):
    room._Threads.count = threads
    check_agreement(dense(n, d, k), backend, dtype)


# -- the families without products

WINDOWS = [((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 2), (0, 0)), ((3, 3), (1, 1), (1, 1)), ((2, 4), (3, 1), (1, 2))]


def poolings():
    """Channels around the lengths of vectors."""
    for window in WINDOWS:
        for channels in range(1, 36):
            shape = (2, channels, 5, 6)
            yield Case(f"{channels} channels, {window}", MaxPooling(*window), (apart(*shape),))
            yield Case(f"{channels} channels, {window}", MeanPooling(*window), (shape,))


def lengths():
    """Elements around the lengths of vectors, and around what is worth a thread."""
    for n in (*range(70), 4095, 4096, 4097, 8193, 16385, 33000):
        for op in (ReLU(), LeakyReLU(), Sigmoid(), Tanh(), Exp(), Abs()):
            yield Case(f"{n} elements, {op}", op, ((n,),), checked=())
    for n in (*range(1, 36), 63, 64, 65, 127, 129, 4097, 16390):
        for op, *inputs in (
            (Add(), (n,), (n,)),
            (Dropout(0.3, 1 / 0.7, 5), (n,), number(3), number(9)),
            (ReduceSum(), (n,)),
            (ReduceMean((0,)), (3, n)),
            (ReduceSum((1,)), (3, n)),
            (Softmax(), (3, n)),
            (Softmax(), (2, 3, 1, n)),
            (SoftmaxLoss(), (3, n), labels(3, classes=n)),
            (SoftmaxLoss(), (2, 3, 1, n), labels(2, 1, n, classes=3)),
            (SquareLoss(), (2, n), (2, n)),
            (AddBias(), (3, n), (n,)),
            (AddBias(), (2, 3, n), (3,)),
        ):
            yield Case(f"{n} elements, {op}", op, tuple(inputs), checked=())


@pytest.mark.parametrize("table", [poolings, lengths])
def test_the_others(setting, table):
    for case in table():
        check_agreement(case, *setting)
