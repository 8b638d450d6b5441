"""The native backend against the reference: the whole catalogue, on each instruction set that works here."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("mocha._native", reason="the native library was not built: no C++ compiler at installation")

from mocha import _native
from mocha.backends import NativeBackend, NumpyBackend
from mocha.backends import native as room
from mocha.errors import MochaError
from mocha.graph import Graph, Section, build_program
from mocha.ops import (
    AddBias,
    Chain,
    Convolution,
    InnerProduct,
    LeakyReLU,
    MaxPooling,
    MeanPooling,
    Op,
    ReLU,
    Spec,
)
from mocha.testing import CASES, FAMILIES, Case, check_agreement
from mocha.testing.case import spoiled

SETS = _native.instruction_sets()
NAN, INF = math.nan, math.inf
F32 = np.dtype(np.float32)


@pytest.fixture(params=[(isa, threads) for isa in SETS for threads in (1, 3)], ids=lambda p: f"{p[0]}-{p[1]}")
def backend(request, monkeypatch):
    """A native backend for each instruction set, with one thread and with more threads than there may be processors."""
    isa, threads = request.param
    monkeypatch.setenv("MOCHA_NATIVE_ISA", isa)
    monkeypatch.setattr(room._Threads, "count", threads)
    with NativeBackend() as backend:
        assert (backend.instruction_set, backend.threads) == (isa, threads)
        yield backend


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_agrees_with_the_reference(backend, family, dtype):
    for reuse in (False, True):
        for case in FAMILIES[family]:
            check_agreement(case, backend, dtype, reuse=reuse)
    assert not backend.store.arrays


IN_ANOTHER_PROCESS = """
import sys
from mocha.backends import DefaultBackend, get_num_threads
from mocha.testing import FAMILIES, check_agreement

with DefaultBackend() as backend:
    for family in ("conv", "dense", "pool", "update"):
        for case in FAMILIES[family]:
            check_agreement(case, backend, "float32", reuse=True)
    print(backend.name, backend.instruction_set, get_num_threads())
"""


@pytest.mark.parametrize("isa", SETS)
def test_the_environment_chooses(isa):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment |= {"MOCHA_BACKEND": "native", "MOCHA_NATIVE_ISA": isa, "OMP_NUM_THREADS": "3"}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", IN_ANOTHER_PROCESS], capture_output=True, text=True, env=environment
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["native", isa, "3"]


# -- what the kernels cover


class _Executor:
    """Stands in the place of the library's: notes which kernels are called for, and which steps are done outside."""

    def __init__(self, isa):
        self.steps = []

    def __len__(self):
        return len(self.steps)

    def add(self, kernel, *_):
        self.steps.append(kernel)
        return True

    def add_outside(self):
        self.steps.append(None)


class _Library:
    Executor = _Executor
    instruction_sets = staticmethod(_native.instruction_sets)


WITHOUT_KERNEL = {
    *(f"Convolution: {about}" for about in ("1-D", "1-D, stride, pad, dilation", "1-D depthwise")),
    *(f"Convolution: {about}" for about in ("3-D", "3-D, all at once")),
    *(f"{pool}Pooling: {about}" for pool in ("Max", "Mean") for about in ("no batch axis", "1-D", "3-D")),
    *(f"InnerProduct: axis {axis}" for axis in (2, -1)),
}
"""Cases that the reference does, in part at least."""


def outside(case):
    """The nodes of a case's op, and of its gradient, that no kernel does."""
    from mocha.testing.agreement import _setting

    backend = NativeBackend()
    setting = _setting(case, case.arrays(0, "float32"), True, 0, backend)
    for key, array in setting.stored.items():
        backend.store.allocate(key, array)
    backend.library = _Library()
    executable = backend.compile(setting.program)
    return [
        node
        for node, step in zip(executable._nodes, executable._executor.steps, strict=True)
        if step is None and node.layer == "op"
    ]


def test_kernels_do_the_catalogue_but_for_what_is_known():
    assert {case.id for case in CASES if outside(case)} == WITHOUT_KERNEL


# -- NaN and infinity

_IMAGE, _FILTER = (2, 5, 6, 5), (19, 5, 3, 3)
_PADDED = Convolution(pad=(1, 1))


def _fused(product: Op, activation: Op, case: tuple) -> Case:
    return Case(f"with {activation}", Chain((product, AddBias(), activation), (2, 2, 1)), case, checked=())


SPOILED = [
    *(
        Case(f"{value} in the {what}", op, (spoiled(x, value, 7, 61), spoiled(w, value, *places)), checked=())
        for value in (NAN, INF, -INF)
        for op, x, w in (
            (_PADDED, _IMAGE, _FILTER),
            (Convolution(stride=(2, 2)), _IMAGE, _FILTER),
            (Convolution(), (2, 5, 4, 4), (33, 5, 1, 1)),
            (InnerProduct(), (7, 37), (19, 37)),
        )
        for what, places in (("input", ()), ("input and filter", (3, 50)))
    ),
    *(
        _fused(product, activation, (spoiled(x, value, 7, 61), w, (19,)))
        for value in (NAN, INF, -INF)
        for product, x, w in ((_PADDED, _IMAGE, _FILTER), (InnerProduct(), (7, 37), (19, 37)))
        for activation in (ReLU(), ReLU(0.25), LeakyReLU(0.1))
    ),
    *(
        Case(f"{value}, {channels} channels", op, (spoiled((1, channels, 5, 6), value, 0, 8, 31),), checked=())
        for value in (NAN, INF, -INF)
        for channels in (2, 19)
        for op in (
            MaxPooling((2, 2), (2, 2)),
            MaxPooling((3, 3), (2, 2), (1, 1)),
            MaxPooling((3, 2), (1, 1)),
            MeanPooling((2, 2), (2, 2)),
            MeanPooling((3, 3), (2, 2), (1, 1)),
        )
    ),
    *(
        Case(f"{value}", op, (spoiled((37,), value, 0, 15, 36),), checked=())
        for value in (NAN, INF, -INF)
        for op in (ReLU(), ReLU(-1.0), LeakyReLU())
    ),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_and_infinity_pass_as_in_the_reference(backend, dtype):
    for case in SPOILED:
        check_agreement(case, backend, dtype)


# -- empty input


def run(backend, op, *specs):
    """The shape of an op's result on arrays of zeros."""
    g = Graph()
    inputs = [g.input(f"x{i}", Spec(shape, F32)) for i, shape in enumerate(specs)]
    g.blobs["y"] = g(op, *inputs)
    executable = backend.compile(build_program("p", g, {}, keep=None, channels_last=backend.channels_last))
    executable.run(Section.FORWARD, feeds={v.name: np.ones(v.shape, np.float32) for v in inputs})
    return executable.blob("y")


@pytest.mark.parametrize(
    ("op", "specs", "expected"),
    [
        (ReLU(), [(0,)], (0,)),
        (ReLU(), [(2, 0, 3, 3)], (2, 0, 3, 3)),
        (Convolution(), [(0, 3, 5, 5), (4, 3, 3, 3)], (0, 4, 3, 3)),
        (Convolution(), [(2, 3, 5, 5), (0, 3, 3, 3)], (2, 0, 3, 3)),
        (Convolution(pad=(2, 2)), [(2, 3, 0, 5), (4, 3, 3, 3)], (2, 4, 2, 7)),
        (InnerProduct(), [(0, 5), (4, 5)], (0, 4)),
        (InnerProduct(), [(3, 5), (0, 5)], (3, 0)),
        (MaxPooling((2, 2)), [(0, 3, 4, 4)], (0, 3, 3, 3)),
    ],
    ids=str,
)
def test_empty_input(backend, op, specs, expected):
    found = run(backend, op, *specs)
    assert found.shape == expected
    assert not found.any()


def test_an_image_without_channels_is_refused_as_by_the_reference():
    told = []
    for kind in (NativeBackend, NumpyBackend):
        with kind() as made, pytest.raises(MochaError) as error:
            run(made, Convolution(), (1, 0, 3, 3), (2, 0, 3, 3))
        told.append(str(error.value))
    assert told[0] == told[1]
