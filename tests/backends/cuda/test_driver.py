"""The device by CUDA's driver, without a GPU: NVIDIA's own bindings on a stand-in for the driver's library.

Each test is a process of its own that finds the stand-in (`fake_driver/libcuda.c`) where it looks for the driver.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed: pip install 'mocha-dl[cuda]'")

from mocha.backends.cuda.device import Arguments

SOURCE = Path(__file__).parent / "fake_driver" / "libcuda.c"
HELPERS = "from tests.backends.cuda.fake_driver.gpu import *\n"


@pytest.fixture(scope="module")
def fake_driver(tmp_path_factory):
    """The folder of the library."""
    for compiler in (os.environ.get("CC", "gcc"), os.environ.get("CXX", "g++")):
        if shutil.which(compiler) is None:
            pytest.skip(f"{compiler} is not installed; the stand-in for the driver, and its kernels, are made by it")
    folder = tmp_path_factory.mktemp("driver")
    command = [os.environ.get("CC", "gcc"), "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    command += ["-fvisibility=hidden", f"-DSTEP_BYTES={ctypes.sizeof(Arguments)}", str(SOURCE), "-ldl", "-pthread"]
    subprocess.run([*command, "-o", str(folder / "libcuda.so.1")], check=True)
    return folder


@pytest.fixture
def run(fake_driver):
    """Runs Python code in a process of its own; what it prints."""

    def run(code, *, helpers=HELPERS, libraries=fake_driver, **variables):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("MOCHA_GPU", "FAKE_"))}
        environment |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        environment |= {"LD_LIBRARY_PATH": f"{libraries}:{os.environ.get('LD_LIBRARY_PATH', '')}", **variables}
        command = [sys.executable, "-W", "error", "-c", helpers + code]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
        assert ran.returncode == 0, ran.stderr
        assert not ran.stderr
        return ran.stdout

    return run


# -- the stand-in itself


REFUSED = """
import numpy as np
from cuda.bindings import driver as d

status = d.CUresult
THREAD_LOCAL = d.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
seen = []

def check(expected, name, *arguments):
    found, *results = getattr(d, name)(*arguments)
    assert found == getattr(status, "CUDA_" + expected), (name, found, expected)
    return results[0] if results else None

check("ERROR_NOT_INITIALIZED", "cuDeviceGetCount")
check("SUCCESS", "cuInit", 0)
check("ERROR_INVALID_DEVICE", "cuDeviceGet", 1)
check("ERROR_INVALID_CONTEXT", "cuMemAlloc", 8)
context = check("SUCCESS", "cuDevicePrimaryCtxRetain", check("SUCCESS", "cuDeviceGet", 0))
check("SUCCESS", "cuCtxSetCurrent", context)
check("ERROR_NOT_SUPPORTED", "cuCtxGetSharedMemConfig")

memory = check("SUCCESS", "cuMemAlloc", 64)
stream = check("SUCCESS", "cuStreamCreate", 1)
host = np.arange(64, dtype=np.uint8)
pinned = check("SUCCESS", "cuMemHostAlloc", 64, 0)
check("ERROR_INVALID_VALUE", "cuMemAlloc", 0)
check("ERROR_OUT_OF_MEMORY", "cuMemAlloc", 1 << 40)
check("ERROR_INVALID_VALUE", "cuMemcpyHtoDAsync", int(memory) + 1, host.ctypes.data, 64, stream)
check("ERROR_INVALID_VALUE", "cuMemcpyHtoDAsync", memory, int(pinned) + 1, 64, stream)
check("ERROR_INVALID_VALUE", "cuMemcpyHtoDAsync", host.ctypes.data, int(memory), 64, stream)
check("ERROR_INVALID_HANDLE", "cuMemcpyHtoDAsync", memory, host.ctypes.data, 64, 0)
check("ERROR_INVALID_IMAGE", "cuModuleLoadData", b"nowhere.so\\0")

# work is late
check("SUCCESS", "cuMemcpyHtoDAsync", memory, host.ctypes.data, 64, stream)
timed = [check("SUCCESS", "cuEventCreate", flags) for flags in (0, 0, 2)]
check("ERROR_INVALID_HANDLE", "cuEventElapsedTime", timed[0], timed[1])
for event in timed:
    check("SUCCESS", "cuEventRecord", event, stream)
check("ERROR_NOT_READY", "cuEventElapsedTime", timed[0], timed[1])
host[:] = 7
check("SUCCESS", "cuEventSynchronize", timed[2])
assert check("SUCCESS", "cuEventElapsedTime", timed[0], timed[1]) >= 0
check("ERROR_INVALID_HANDLE", "cuEventElapsedTime", timed[0], timed[2])
back = np.zeros(64, np.uint8)
check("SUCCESS", "cuMemcpyDtoHAsync", back.ctypes.data, memory, 64, stream)
assert not back.any()
check("SUCCESS", "cuStreamSynchronize", stream)
assert (back == 7).all()

# what spoils a capture
for name, arguments in (
    ("cuMemAlloc", (8,)), ("cuMemFree", (memory,)), ("cuMemHostAlloc", (8, 0)), ("cuStreamSynchronize", (stream,)),
):
    check("SUCCESS", "cuStreamBeginCapture", stream, THREAD_LOCAL)
    check("ERROR_ILLEGAL_STATE", "cuStreamBeginCapture", stream, THREAD_LOCAL)
    check("ERROR_STREAM_CAPTURE_UNSUPPORTED", name, *arguments)
    check("ERROR_STREAM_CAPTURE_INVALIDATED", "cuMemcpyHtoDAsync", memory, pinned, 8, stream)
    check("ERROR_STREAM_CAPTURE_INVALIDATED", "cuStreamEndCapture", stream)
check("SUCCESS", "cuStreamBeginCapture", stream, THREAD_LOCAL)
check("ERROR_STREAM_CAPTURE_ISOLATION", "cuStreamWaitEvent", stream, timed[0], 0)
check("ERROR_STREAM_CAPTURE_INVALIDATED", "cuStreamEndCapture", stream)
check("SUCCESS", "cuStreamBeginCapture", stream, THREAD_LOCAL)
check("SUCCESS", "cuEventRecord", timed[0], stream)
check("ERROR_CAPTURED_EVENT", "cuEventSynchronize", timed[0])
graph = check("SUCCESS", "cuStreamEndCapture", stream)
check("ERROR_INVALID_HANDLE", "cuGraphLaunch", int(graph), stream)

# what fails when it is done spoils the context
check("SUCCESS", "cuMemcpyHtoDAsync", memory, pinned, 8, stream)
check("SUCCESS", "cuMemFreeHost", pinned)
check("ERROR_INVALID_VALUE", "cuMemFreeHost", pinned)
check("ERROR_ILLEGAL_ADDRESS", "cuStreamSynchronize", stream)
check("ERROR_ILLEGAL_ADDRESS", "cuMemAlloc", 8)
check("SUCCESS", "cuDevicePrimaryCtxRelease", 0)
check("ERROR_CONTEXT_IS_DESTROYED", "cuMemAlloc", 8)
check("ERROR_INVALID_CONTEXT", "cuDevicePrimaryCtxRelease", 0)
check("SUCCESS", "cuCtxSetCurrent", check("SUCCESS", "cuDevicePrimaryCtxRetain", 0))
check("ERROR_INVALID_VALUE", "cuMemFree", memory)
check("ERROR_INVALID_HANDLE", "cuStreamSynchronize", stream)
memory = check("SUCCESS", "cuMemAlloc", 8)
check("SUCCESS", "cuMemFree", memory)
check("ERROR_INVALID_VALUE", "cuMemFree", memory)
"""


def test_the_stand_in_refuses_what_the_driver_refuses(run):
    run(REFUSED, helpers="")


# -- ops and nets


@pytest.mark.parametrize("family", ["pointwise", "reduce", "shape", "dense", "conv"])
def test_it_agrees_with_the_reference(run, family):
    code = f"""
from mocha.testing import FAMILIES, check_agreement

with new_backend() as backend:
    for reuse in (False, True):
        for case in FAMILIES["{family}"]:
            check_agreement(case, backend, "float32", reuse=reuse)
assert not alive(), alive()
"""
    run(code)


NET = """
import gc
import threading

import numpy as np

from mocha import *
from mocha.backends.cuda import DeviceError, OutOfMemory

rng = np.random.default_rng(0)
data = [rng.standard_normal((24, 2, 10, 10)).astype(np.float32), rng.integers(0, 3, 24)]

def new_net(backend, *, deep=False, **data_layer):
    more = [
        ConvolutionLayer(name=name, n_filter=8, kernel=3, pad=1, bottoms=[bottom], tops=[name])
        for name, bottom in (("conv2", "pool"), ("conv3", "conv2"))
    ]
    return Net("net", backend, [
        MemoryDataLayer(**{"name": "data", "data": data, "batch_size": 8, "shuffle": True, **data_layer}),
        ConvolutionLayer(name="conv", n_filter=8, kernel=3, neuron=Neurons.ReLU(), bottoms=["data"], tops=["conv"]),
        PoolingLayer(name="pool", kernel=2, stride=2, bottoms=["conv"], tops=["pool"]),
        *(more if deep else []),
        InnerProductLayer(name="ip", output_dim=3, bottoms=["conv3" if deep else "pool"], tops=["ip"]),
        SoftmaxLossLayer(name="loss", bottoms=["ip", "label"]),
    ], seed=1)

def train(net, steps=8):
    method = SGD()
    Solver(method, make_solver_parameters(method, max_iter=steps, mom_policy=MomPolicy.Fixed(0.9))).solve(net)

def values(net):
    return {f"{layer}/{name}": array for layer, group in net.params.items() for name, array in group.items()}

def trained(backend):
    with backend, new_net(backend) as net:
        train(net)
        graphs = alive().get("executable graph", 0)
        return values(net), graphs

def check_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].tobytes() == array.tobytes(), name
"""


def test_a_training_is_that_of_the_emulated_gpu_bit_for_bit(run):
    code = """
from mocha.backends.cuda.emulated import EmulatedDevice

expected, _ = trained(CudaBackend(EmulatedDevice()))
for captures in (True, False):
    found, graphs = trained(new_backend(captures=captures))
    check_equal(found, expected)
    assert bool(graphs) == captures
    assert not alive(), alive()
"""
    run(NET + code)


def test_memory_is_given_back(run):
    code = """
with new_backend() as backend:
    def left_by_net():
        with new_net(backend) as net:
            train(net)
            net.forward()
            assert alive()["pinned"] and alive()["executable graph"]
            return len(values(net))

    parameters = left_by_net()
    gc.collect()
    assert "pinned" not in alive() and "executable graph" not in alive() and "event" not in alive(), alive()
    stored = alive()["memory"]
    assert stored >= parameters
    left_by_net()
    gc.collect()
    assert alive()["memory"] == stored
    assert alive()["stream"] == 2 and alive()["module"]
assert not alive(), alive()

# what is neither closed nor needed any more
backend = new_backend()
net = new_net(backend)
net.forward()
del net, backend
for _ in range(2):  # what they hold, then the device
    gc.collect()
assert not alive(), alive()
"""
    run(NET + code)


def test_parameters_that_move_during_a_training(run):
    code = """
from mocha.solvers.breaks import CoffeeBreak

class Move(CoffeeBreak):
    def enjoy(self, lounge, net, state):
        for key in list(net.backend.store._arrays):
            net.backend.store.allocate(key, net.backend.store.read(key))

def run(coffee):
    with new_backend() as backend, new_net(backend, deep=True) as net:
        method = SGD()
        solver = Solver(method, make_solver_parameters(method, max_iter=12, mom_policy=MomPolicy.Fixed(0.9)))
        if coffee:
            solver.add_coffee_break(coffee, every_n_iter=5)
        solver.solve(net)
        return values(net)

check_equal(run(Move()), run(None))
"""
    run(NET + code)


def test_two_backends_at_once(run):
    code = """
expected, _ = trained(new_backend())
for numbers in ((0, 0), (0, 1)):
    one, other = (new_backend(number=number) for number in numbers)
    nets = [new_net(backend) for backend in (one, other)]
    for _ in range(3):
        for net in nets:
            net.forward_backward()
    assert nets[0].blobs["ip"].tobytes() == nets[1].blobs["ip"].tobytes()
    assert alive()["context"] == 2
    one.shutdown()
    train(nets[1])
    other.shutdown()
    assert not alive(), alive()
    pair = [new_backend(number=number) for number in numbers]
    nets = [new_net(backend) for backend in pair]
    for net in nets:
        train(net)
    for net, backend in zip(nets, pair):
        check_equal(values(net), expected)
        backend.shutdown()
    assert not alive(), alive()
"""
    run(NET + code, FAKE_CUDA_DEVICES="2")


def test_other_threads(run):
    code = """
def in_thread(action):
    failed = []
    def caught():
        try:
            action()
        except BaseException as error:
            failed.append(error)
    thread = threading.Thread(target=caught)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]

with new_backend() as backend, new_net(backend) as net:
    for _ in range(4):
        train(net, 2)
    expected = values(net)
backend = new_backend()
net = new_net(backend)
for _ in range(4):  # the system gives the numbers of threads that ended to new ones
    in_thread(lambda: train(net, 2))
check_equal(values(net), expected)
in_thread(net.close)
del net
in_thread(gc.collect)
assert "pinned" not in alive() and "event" not in alive(), alive()
in_thread(backend.shutdown)
assert not alive(), alive()
"""
    run(NET + code)


# -- the device itself


DEVICE = """
import gc

import numpy as np

from mocha.backends.cuda import DeviceError, OutOfMemory
from mocha.backends.cuda.device import Arguments
from mocha.backends.cuda.launches.plan import Launch
from mocha.errors import StateError

def raised(kind, action, *arguments):
    try:
        action(*arguments)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")

def numbers(count, first=0):
    return (np.arange(count) + first).astype(np.uint8)
"""


def test_copies(run):
    code = """
device = FakeGpu()
memory, other = device.allocate(1000), device.allocate(1000)
array = numbers(1000)
device.upload(memory, array)
array[:] = 0  # a copy was made
assert (device.download(memory, 1000) == numbers(1000)).all()
assert (device.download(memory + 500, 10) == numbers(10, 500)).all()

pinned = device.pinned(1000)
pinned[:] = numbers(1000, 1)
device.upload_pinned(memory, pinned)
first = device.fetch(memory, 1000)
device.upload(memory, numbers(1000, 2))
assert (first() == numbers(1000, 1)).all() and first() is first()
assert alive()["pinned"] == 2
second = device.fetch(memory, 1000)
assert (second() == numbers(1000, 2)).all() and (first() == numbers(1000, 1)).all()
assert alive()["pinned"] == 2  # of the first fetch

pinned[:] = numbers(1000, 3)
copied = device.copy_in(other, pinned)
device.wait(copied)
late = device.fetch(other, 1000)
copied.synchronize()
pinned[:] = 0
assert (late() == numbers(1000, 3)).all()
told = device.pinned(10)
told[:] = 0
device.copy_out(other, told)
assert not told.any()
device.record().synchronize()
assert (told == numbers(10, 3)).all()
del told

device.upload_pinned(memory, pinned)
del pinned  # it is given back when it was read
assert alive()["pinned"] == 1
assert not device.download(memory, 1000).any()

assert device.download(memory, 0).size == device.fetch(memory, 0)().size == device.pinned(0).size == 0
device.release(memory)
device.release(memory)
assert alive()["memory"] == 1
device.close()
device.close()
assert not alive(), alive()
assert "given back" in str(raised(StateError, device.allocate, 8))
raised(StateError, copied.synchronize)
device.release(other)
"""
    run(DEVICE + code)


def test_captures(run):
    code = """
device = FakeGpu()
memory = device.allocate(8)
pinned = device.pinned(8)
kept = [device.pinned(8), device.record(), device.capture(lambda: None)]
given_back = device.allocate(8)

def enqueue():
    device.upload_pinned(memory, pinned)
    kept.clear()  # garbage, of any kind
    device.release(given_back)

before = alive()
graph = device.capture(enqueue)
after = alive()
assert {kind: before[kind] - after[kind] for kind in ("memory", "pinned", "event", "executable graph")} == {
    "memory": 1, "pinned": 1, "event": 1, "executable graph": 0
}
assert "graph" not in after
assert (device.download(memory, 8) == 255).all()  # nothing was done
for first in (1, 2):
    pinned[:] = numbers(8, first)
    graph.launch()
    assert (device.download(memory, 8) == numbers(8, first)).all()

# what is recorded has nothing to wait for
for action in (lambda: device.upload(memory, numbers(8)), device.synchronize, lambda: device.allocate(8)):
    assert "CAPTURE_UNSUPPORTED" in str(raised(DeviceError, device.capture, action))
def interrupted():
    device.upload_pinned(memory, pinned)
    raise KeyboardInterrupt
raised(KeyboardInterrupt, device.capture, interrupted)
assert "graph" not in alive()
graph.launch()
device.synchronize()
del graph
assert "executable graph" not in alive()
device.close()
assert not alive(), alive()
"""
    run(DEVICE + code)


def test_out_of_memory(run):
    code = (
        DEVICE
        + NET
        + """
device = FakeGpu()
device.allocate(3 << 20)
error = raised(OutOfMemory, device.allocate, 7 << 20)
assert (error.asked, error.free) == (7 << 20, 5 << 20)
assert isinstance(error, MemoryError)
assert "5 MiB of memory left; 7 MiB more were asked for" in str(error)
device.allocate(5 << 20)
device.close()

backend = new_backend()
net = new_net(backend, data=[np.zeros((20_000, 2, 10, 10), np.float32), np.zeros(20_000)], batch_size=20_000)
error = raised(OutOfMemory, net.forward)
assert error.asked > error.free
backend.shutdown()
assert not alive(), alive()
"""
    )
    run(code, FAKE_CUDA_MEMORY=str(8 << 20))


def test_launches_that_fail(run):
    code = """
source = '''
#include "mocha.cuh"
template <class T> MOCHA_DEVICE void stuck(const Step&) { if (threadIdx.x) __syncthreads(); }
template <class T> MOCHA_DEVICE void count(const Step& step) {
    each(step.at(0), [&](Index i) { step.out<T>(0)[i] = static_cast<T>(step.index); });
}
MOCHA_PRECISE_KERNEL(stuck)
MOCHA_PRECISE_KERNEL(count)
'''
device = FakeGpu()
memory = device.allocate(32)
arguments = Arguments(index=3)
arguments.short_ints[0], arguments.short_out[0] = 8, memory
count = device.generated(source, "count_f32")
assert count is device.generated(source, "count_f32")
device.launch(count, Launch(2, 64), arguments, "count")
arguments.index = 4  # the driver has a copy
assert (device.download(memory, 32).view(np.float32) == 3).all()

error = raised(DeviceError, device.launch, count, Launch(1, 2048), arguments, "count")
assert str(error).startswith("kernel count (1 blocks of 2048 threads)") and "INVALID_VALUE" in str(error)
assert "NOT_FOUND" in str(raised(DeviceError, device.generated, source, "nothing_f32"))

device.launch(device.generated(source, "stuck_f32"), Launch(1, 64), arguments, "stuck")
said = str(raised(DeviceError, device.synchronize))
assert "cuStreamSynchronize says CUDA_ERROR_LAUNCH_FAILED" in said
assert "start the process anew" in said and "nvidia-smi" in said
said = str(raised(DeviceError, device.launch, count, Launch(2, 64), arguments, "count"))
assert said.startswith("kernel count (2 blocks of 64 threads), or work before it: the GPU failed")
assert "LAUNCH_FAILED" in str(raised(DeviceError, device.allocate, 8))
device.release(memory)  # quietly
device.close()
assert not alive(), alive()

device = FakeGpu()  # when nobody has the GPU any more it is as new
assert device.download(device.allocate(8), 8).size
"""
    run(DEVICE + code)


def test_exit_without_closing(run):
    for captures in (True, False):
        code = f"""
backend = new_backend(captures={captures})
net = new_net(backend)
train(net)
for _ in range(3):
    net.forward_backward()
fetched = backend.device.fetch(backend.device.allocate(8), 8)
cycle = [net, backend.device.record()]
cycle.append(cycle)
print(alive()["context"])
"""
        assert run(NET + code) == "1\n"


# -- no GPU that can be used


UNAVAILABLE = """
from mocha.backends.cuda import CudaBackend
from mocha.errors import BackendUnavailable

for action in (CudaBackend, CudaBackend.describe):
    try:
        action()
    except BackendUnavailable as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"FAKE_CUDA_DEVICES": "0"}, "sees no GPU. Is CUDA_VISIBLE_DEVICES empty?"),
        ({"FAKE_CUDA_INIT": "100"}, "sees no GPU. Is CUDA_VISIBLE_DEVICES empty?"),
        ({"FAKE_CUDA_INIT": "999"}, "cuInit says CUDA_ERROR_UNKNOWN. Look at what nvidia-smi says."),
        ({"FAKE_CUDA_VERSION": "12040"}, "driver is too old: it has CUDA 12.4, and 13.0 or later is needed."),
        ({"FAKE_CUDA_CAPABILITY": "7.0"}, "Fake GPU 0 has compute capability 7.0; 7.5 or more is needed."),
        ({"MOCHA_GPU": "2", "FAKE_CUDA_DEVICES": "2"}, "there is no GPU 2: NVIDIA's driver sees 2"),
        ({"MOCHA_GPU": "first"}, "MOCHA_GPU is 'first'; expected the number of a GPU"),
        ({"MOCHA_GPU": "-1"}, "MOCHA_GPU is '-1'; expected the number of a GPU"),
        ({"MOCHA_GPU": "²"}, "MOCHA_GPU is '²'; expected the number of a GPU"),
    ],
    ids=lambda value: " ".join(map("=".join, value.items())) if isinstance(value, dict) else "",
)
def test_no_gpu_to_use(run, variables, expected):
    said = run(UNAVAILABLE, helpers="", **variables).splitlines()
    assert len(said) == 2
    assert all(expected in line for line in said), said


def test_no_driver(run, tmp_path):
    (tmp_path / "libcuda.so.1").write_bytes(b"")
    said = run(UNAVAILABLE, helpers="", libraries=tmp_path).splitlines()
    assert len(said) == 2
    assert all("NVIDIA's driver is not there" in line and "are needed" in line for line in said), said


def test_the_gpu_that_is_chosen(run):
    code = 'print(FakeGpu().describe(), FakeGpu(0).describe(), sep=", ")'
    assert run(code, FAKE_CUDA_DEVICES="2", MOCHA_GPU="1") == "Fake GPU 1, Fake GPU 0\n"
    assert run(code, FAKE_CUDA_DEVICES="2", MOCHA_GPU="") == "Fake GPU 0, Fake GPU 0\n"


def test_products_that_are_not_there(run):
    code = """
from mocha.errors import BackendUnavailable

def missing(device):
    raise BackendUnavailable("no cuDNN")

try:
    FakeGpu(products=missing)
except BackendUnavailable as error:
    print(error)
assert not alive(), alive()
"""
    assert run(code) == "no cuDNN\n"
