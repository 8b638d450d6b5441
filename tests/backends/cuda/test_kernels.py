"""Every own kernel, compiled by g++, against the reference on the catalogue's cases."""

import re

import numpy as np
import pytest
from tests.backends.cuda.emulation import EXACT, NEEDS_COMPILER, emulated

from mocha.backends import CudaBackend
from mocha.backends.cuda.device import Arguments
from mocha.backends.cuda.emulated import EmulatedDevice
from mocha.backends.cuda.launches.catalogue import FAMILIES as LAUNCHED
from mocha.backends.cuda.launches.catalogue import FAMILY_OF, PLANNERS
from mocha.backends.cuda.launches.plan import Launch
from mocha.backends.cuda.nvrtc import KERNELS
from mocha.errors import MochaError
from mocha.graph import Graph, Section, build_program
from mocha.ops import ReLU, SoftmaxLoss, Spec
from mocha.testing import CASES, FAMILIES
from mocha.testing.agreement import _setting
from mocha.testing.cuda.kernels import check_kernels

pytestmark = NEEDS_COMPILER


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("family", FAMILIES)
def test_they_agree_with_the_reference(family, backwards):
    tally = check_kernels(lambda: emulated(backwards=backwards, chains=False), [family])
    assert not tally.wrong
    assert tally.runs == 4 * len(FAMILIES[family])


WITHOUT_KERNEL = {
    *(f"{op}: {about}" for op in ("Convolution", "Deconvolution") for about in ("3-D", "3-D, all at once")),
    "Unfold: 3-D",
    *(f"{pool}Pooling: {about}" for pool in ("Max", "Mean") for about in ("no batch axis", "3-D")),
    *(f"{op}: 3-D" for op in ("StochasticPooling", "StochasticPoolingMean", "WinnerPlaces")),
    *(case.id for case in FAMILIES["detection"]),
    "Convolution: no channels",
    "Deconvolution: no filters",
    "InnerProduct: no features",
    *(f"WassersteinLoss: {about}" for about in ("square metric", "other bins in the label", "images", "empty bins")),
}
"""Cases that the reference does, in part at least."""


def test_kernels_do_the_catalogue_but_for_what_is_known():
    outside = set()
    for case in CASES:
        with emulated(chains=False) as backend:
            setting = _setting(case, case.arrays(0, "float32"), True, 0, backend)
            for key, array in setting.stored.items():
                backend.store.allocate(key, array)
            if any(node.layer == "op" for node in backend.compile(setting.program).interpreted()):
                outside.add(case.id)
    assert outside == WITHOUT_KERNEL


def test_each_kernel_is_entered_in_its_file_and_planned():
    entered = {}
    for path in KERNELS.glob("*.cu"):
        for name in re.findall(r"^MOCHA_(?:\w+_)?(?:KERNEL|ENTRY)\((\w+)[,)]", path.read_text(), re.M):
            entered[name] = path.stem
    started = set()
    for name, family in entered.items():
        owners = [planned for planned in PLANNERS if name == planned or name.startswith(planned + "_")]
        assert owners, f"{name} is entered, but never started"
        owner = max(owners, key=len)
        started.add(owner)
        assert FAMILY_OF[owner] == family, name
    assert started == set(PLANNERS), "planned, but no file has such a kernel"
    assert {family.__name__.rpartition(".")[2] for family in LAUNCHED} == {path.stem for path in KERNELS.glob("*.cu")}


def softmax_loss(backend, labels):
    g = Graph()
    x, label = g.input("x", Spec((4, 3), np.dtype(np.float32))), g.input("label", Spec((4,), np.dtype(np.float32)))
    with g.within("loss"):
        g.blobs["y"] = g(SoftmaxLoss(), x, label)
    executable = backend.compile(build_program("p", g, {}, keep=None, **backend.wishes))
    feeds = {"x": np.zeros((4, 3), np.float32), "label": np.asarray(labels, np.float32)}
    executable.run(Section.FORWARD, feeds=feeds)
    return executable


@pytest.mark.parametrize("label", [3, -1, 0.5, np.nan])
def test_bad_labels_are_told_when_something_is_read(label):
    with emulated() as backend:
        executable = softmax_loss(backend, [0, 1, label, 2])
        with pytest.raises(MochaError, match=r"layer 'loss': softmax_loss_forward refused its data.*Check the labels"):
            executable.blob("y")
        # told once; the next run is judged anew
        feeds = {"x": np.zeros((4, 3), np.float32), "label": np.zeros(4, np.float32)}
        executable.run(Section.FORWARD, feeds=feeds)
        assert executable.blob("y") == pytest.approx(np.log(3))


def test_a_kernel_with_a_barrier_that_not_all_threads_reach_is_found():
    device = EmulatedDevice()
    source = """
    #include "mocha.cuh"
    template <class T> __device__ void broken(const Step& step) {
        if (threadIdx.x > 3 + step.number) __syncthreads();
    }
    MOCHA_ENTRY(broken, f32, float)
    """
    device.launch(device.generated(source, "broken_f32"), Launch(1, 64), Arguments(), "broken")
    with pytest.raises(MochaError, match="kernel broken: not all threads reach a barrier"):
        device.synchronize()


FORGETFUL = """
#include "mocha.cuh"
template <class T> __device__ void forgetful(const Step& step) {
    __shared__ int seen[64];
    seen[threadIdx.x] = static_cast<int>(step.number);
    BARRIER
    step.out<int>(0)[threadIdx.x] = seen[(threadIdx.x + 1) % 64];
}
MOCHA_ENTRY(forgetful, f32, float)
"""


@pytest.mark.parametrize("barrier", ["", "__syncthreads();"])
def test_a_forgotten_barrier_shows_when_threads_run_backwards(barrier):
    found = []
    for backwards in (False, True):
        device = EmulatedDevice(backwards=backwards)
        address = device.allocate(256)
        arguments = Arguments()
        arguments.short_out[0] = address
        for arguments.number in (1, 2):
            function = device.generated(FORGETFUL.replace("BARRIER", barrier), "forgetful_f32")
            device.launch(function, Launch(1, 64), arguments, "forgetful")
        found.append(device.download(address, 256).view(np.int32).tolist())
    assert (found[0] == found[1]) is bool(barrier)


def test_a_source_that_does_not_compile_is_an_error():
    with pytest.raises(MochaError, match=r"generated\.cu do not compile for emulation"):
        EmulatedDevice().generated("nonsense", "f")


def test_arrays_beyond_31_bits_are_refused():
    g = Graph()
    x = g.input("x", Spec((2**31, 1), np.dtype(np.float32)))
    with g.within("large"):
        g.blobs["y"] = g(ReLU(), x)
    with (
        emulated() as backend,
        pytest.raises(MochaError, match=r"2147483648x1 float32 has 2,147,483,648 elements.*Use a smaller batch"),
    ):
        backend.compile(build_program("p", g, {}, keep=None, **backend.wishes))


def test_what_an_emulated_device_says_of_itself():
    backend = CudaBackend(EmulatedDevice(), numerics=EXACT)
    assert backend.device.describe().startswith("an emulated GPU")
    backend.shutdown()
