"""The native backend and the process around it: environment, threads, forks, and installations without a compiler."""

import importlib.util
import os
import subprocess
import sys

import pytest

from mocha.backends import get_num_threads, set_num_threads
from mocha.errors import ConfigError

native = pytest.mark.skipif(
    importlib.util.find_spec("mocha._native") is None,
    reason="the native library was not built: no C++ compiler at installation",
)

NET = """
import numpy as np
from mocha import *

rng = np.random.default_rng(0)
data = [rng.standard_normal((8, 2, 40, 40)).astype(np.float32), rng.integers(0, 3, 8)]

def net(backend):
    return Net("net", backend, [
        MemoryDataLayer(name="data", data=data, batch_size=8),
        ConvolutionLayer(name="conv", n_filter=8, kernel=3, neuron=Neurons.ReLU(), bottoms=["data"], tops=["conv"]),
        InnerProductLayer(name="ip", output_dim=3, bottoms=["conv"], tops=["ip"]),
        SoftmaxLossLayer(name="loss", bottoms=["ip", "label"]),
    ])
"""

WITHOUT_LIBRARY = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "mocha._native":
            raise ImportError("libgomp.so.1: cannot open shared object file")

sys.meta_path.insert(0, Missing())
"""


def run(code, **variables):
    """Run Python code in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MOCHA_", "OMP_"))}
    environment |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **variables}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)


def said(code, **variables):
    """The words that the code printed."""
    ran = run(code, **variables)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


# -- environment


@native
def test_threads_of_the_environment():
    code = "from mocha import *; print(get_num_threads(), DefaultBackend().name)"
    assert said(code.replace("*", "get_num_threads, DefaultBackend"), OMP_NUM_THREADS="3") == ["3", "native"]
    code = "import mocha; mocha.set_num_threads(5); print(mocha.get_num_threads(), mocha.Backend('native').threads)"
    assert said(code, OMP_NUM_THREADS="3") == ["5", "5"]


WATCHED = """
import importlib.abc, os, sys

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "mocha._native":
            print(os.environ.get("GOMP_SPINCOUNT") or None)

sys.meta_path.insert(0, Watch())
from mocha import DefaultBackend
DefaultBackend()
print(os.environ.get("GOMP_SPINCOUNT") or None)
"""


@native
@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({"GOMP_SPINCOUNT": "", "OMP_WAIT_POLICY": ""}, ["3000", "None"]),
        ({"GOMP_SPINCOUNT": "7"}, ["7", "7"]),
        ({"GOMP_SPINCOUNT": "", "OMP_WAIT_POLICY": "active"}, ["None", "None"]),
    ],
)
def test_waiting_threads_sleep_soon_unless_the_environment_says_otherwise(given, seen):
    assert said(WATCHED, **given) == seen


@native
def test_numpy_can_be_asked_for():
    assert said("import mocha; print(mocha.DefaultBackend().name)", MOCHA_BACKEND="numpy") == ["numpy"]
    assert said("import mocha; print(mocha.DefaultBackend().name)", MOCHA_BACKEND="native") == ["native"]


@native
def test_an_instruction_set_that_does_not_exist():
    ran = run("import mocha; mocha.Backend('native')", MOCHA_NATIVE_ISA="portabel")
    assert (
        "ConfigError: MOCHA_NATIVE_ISA is 'portabel', which does not work here. Did you mean 'portable'?" in ran.stderr
    )
    # a wrong word is a mistake, and no reason to go on with a slower backend
    ran = run("import mocha; mocha.DefaultBackend()", MOCHA_NATIVE_ISA="sse9")
    assert "ConfigError: MOCHA_NATIVE_ISA is 'sse9'" in ran.stderr
    assert "portable" in ran.stderr


@pytest.mark.parametrize("n", [0, -1, 2.0, "2", True, None])
def test_numbers_of_threads_that_are_none(n):
    with pytest.raises(ConfigError, match=r"set_num_threads: received .*; expected a whole number >= 1"):
        set_num_threads(n)


@native
def test_the_number_of_threads_may_change_between_runs():
    code = (
        NET
        + """
set_num_threads(1)
backend = Backend("native")
made = net(backend)
losses = [made.forward_backward()]
for threads in (4, 2, 1):
    set_num_threads(threads)
    made.rewind()
    losses.append(made.forward_backward())
    assert backend.threads == threads
print(*losses)
"""
    )
    first, *others = map(float, said(code))
    assert others[-1] == first
    assert others == pytest.approx([first] * 3, rel=1e-5)
    assert get_num_threads() >= 1


# -- without the library


def test_without_the_library_the_default_is_numpy_with_a_warning():
    ran = run(WITHOUT_LIBRARY + "from mocha import DefaultBackend; print(DefaultBackend().name)")
    assert ran.stdout.split() == ["numpy"], ran.stderr
    assert (
        "Using the numpy backend. Faster ones do not work here: native: the native library is not there" in ran.stderr
    )
    assert "libgomp.so.1: cannot open shared object file" in ran.stderr
    assert "apt install g++" in ran.stderr


def test_without_the_library_nothing_is_said_of_it_unless_asked():
    ran = run(WITHOUT_LIBRARY + "from mocha import DefaultBackend; print(DefaultBackend().name)", MOCHA_BACKEND="numpy")
    assert (ran.stdout.split(), ran.stderr) == (["numpy"], "")


def test_without_the_library_it_cannot_be_had_by_name():
    for code in ("Backend('native')", "DefaultBackend()", "NativeBackend()", "get_num_threads()"):
        ran = run(f"{WITHOUT_LIBRARY}from mocha.backends import *; {code}", MOCHA_BACKEND="native")
        assert "BackendUnavailable: the native library is not there" in ran.stderr


def test_without_the_library_info_tells_why():
    ran = run(WITHOUT_LIBRARY + "from mocha.cli import main; main(['info'])")
    assert ran.returncode == 0
    assert "FAIL  native  the native library is not there (libgomp.so.1" in ran.stdout
    assert "PASS  numpy" in ran.stdout


@native
def test_info_tells_the_instruction_set():
    ran = run("from mocha.cli import main; main(['info'])", MOCHA_NATIVE_ISA="portable", OMP_NUM_THREADS="2")
    assert ran.returncode == 0
    assert "PASS  native  portable kernels, 2 threads" in ran.stdout


# -- forks

FORK = (
    NET
    + """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
set_num_threads(2)
backend = Backend("native")
made = net(backend)
before = made.forward_backward()
child = os.fork()
if child == 0:
    status = 1
    try:
        {in_child}
        status = 0
    finally:
        os._exit(status)
_, status = os.waitpid(child, 0)
made.rewind()
assert made.forward_backward() == before
print(os.waitstatus_to_exitcode(status))
"""
)

REFUSED = """for again in (made, net(Backend("native"))):
            try:
                again.forward()
                os._exit(2)
            except StateError as error:
                assert "forked after native programs had run on several threads" in str(error), error
                assert "set_num_threads(1)" in str(error), error"""

ONE_THREAD = """set_num_threads(1)
        for again in (made, net(Backend("native"))):
            again.rewind()
            assert abs(again.forward_backward() - before) < 1e-5"""


@native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("in_child", [REFUSED, ONE_THREAD], ids=["refused", "one thread"])
def test_in_a_forked_process(in_child):
    assert said(FORK.format(in_child=in_child)) == ["0"]


@native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_before_the_first_run_may_use_threads():
    code = (
        NET
        + """
import os
set_num_threads(2)
made = net(Backend("native"))
child = os.fork()
if child == 0:
    made.forward()
    os._exit(0)
_, status = os.waitpid(child, 0)
made.forward()
print(os.waitstatus_to_exitcode(status))
"""
    )
    assert said(code) == ["0"]
