"""The native backend against the reference: the whole catalogue, on each instruction set that works here."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("mocha._native", reason="the native library was not built: no C++ compiler at installation")

from tests.backends.native_shapes import SPOILED

from mocha import _native
from mocha.backends import NativeBackend, NumpyBackend
from mocha.backends import native as room
from mocha.errors import FormatError
from mocha.graph import Graph, Section, build_program
from mocha.ops import (
    Convolution,
    Deconvolution,
    InfogainLoss,
    InnerProduct,
    MaxPooling,
    MulticlassHingeLoss,
    RankAccuracy,
    ReLU,
    SoftmaxLoss,
    Spec,
)
from mocha.testing import CASES, FAMILIES, check_agreement

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


WITHOUT_KERNEL = {
    *(f"{op}: {about}" for op in ("Convolution", "Deconvolution") for about in ("3-D", "3-D, all at once")),
    "Unfold: 3-D",
    *(f"{pool}Pooling: {about}" for pool in ("Max", "Mean") for about in ("no batch axis", "3-D")),
    *(f"{op}: 3-D" for op in ("StochasticPooling", "StochasticPoolingMean", "WinnerPlaces")),
    *(case.id for case in FAMILIES["detection"]),
    *(case.id for case in FAMILIES["batch_norm_unit"]),
    *(f"Constant: {about}" for about in ("some numbers", "one number, float64")),
    "Convolution: no channels",
    "Deconvolution: no filters",
    "InnerProduct: no features",
    *(f"WassersteinLoss: {about}" for about in ("square metric", "other bins in the label", "images", "empty bins")),
}
"""Cases that the reference does, in part at least."""


def outside(case):
    """The nodes of a case's op, and of its gradient, that no kernel does."""
    from mocha.testing.agreement import _setting

    backend = NativeBackend()
    setting = _setting(case, case.arrays(0, "float32"), True, 0, backend)
    for key, array in setting.stored.items():
        backend.store.allocate(key, array)
    steps = backend.compile(setting.program).steps
    return [node for node, kernel in steps if kernel is None and node.layer == "op"]


def test_kernels_do_the_catalogue_but_for_what_is_known():
    assert {case.id for case in CASES if outside(case)} == WITHOUT_KERNEL


# -- NaN and infinity


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
        (Convolution(), [(1, 0, 3, 3), (2, 0, 3, 3)], (1, 2, 1, 1)),
        (Deconvolution(), [(1, 0, 3, 3), (0, 2, 3, 3)], (1, 2, 5, 5)),
        (InnerProduct(), [(0, 5), (4, 5)], (0, 4)),
        (InnerProduct(), [(3, 0), (4, 0)], (3, 4)),
        (InnerProduct(), [(3, 5), (0, 5)], (3, 0)),
        (MaxPooling((2, 2)), [(0, 3, 4, 4)], (0, 3, 3, 3)),
    ],
    ids=str,
)
def test_empty_input(backend, op, specs, expected):
    found = run(backend, op, *specs)
    assert found.shape == expected
    assert not found.any()


@pytest.mark.parametrize("wrong", [7.0, -1.0, 1.5, NAN, 3e9])
@pytest.mark.parametrize(
    "op",
    [
        SoftmaxLoss(),
        SoftmaxLoss(ignore=255, divisor="counted"),
        InfogainLoss(ignore=255),
        MulticlassHingeLoss(),
        RankAccuracy(ignore=255),
    ],
    ids=str,
)
def test_a_label_that_is_no_class_is_refused_as_by_the_reference(op, wrong):
    feeds = {"x": np.zeros((40, 3), np.float32), "label": np.zeros(40, np.float32), "gains": np.eye(3, dtype=F32)}
    feeds["label"][30] = wrong
    if not isinstance(op, InfogainLoss):
        del feeds["gains"]
    told = []
    for kind in (NativeBackend, NumpyBackend):
        g = Graph()
        g.blobs["y"] = g.apply(op, *(g.input(name, Spec.of(array)) for name, array in feeds.items()))[0]
        with kind() as made:
            executable = made.compile(build_program("p", g, {}, keep=None, channels_last=made.channels_last))
            with pytest.raises(FormatError, match="label 30 of the batch is") as error:
                executable.run(Section.FORWARD, feeds=feeds)
        told.append(str(error.value))
    assert told[0] == told[1]
