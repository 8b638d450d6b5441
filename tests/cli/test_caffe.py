"""`mocha caffe`: Caffe's commands with Caffe's options."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

import mocha.caffe as caffe
from mocha.cli import main
from mocha.errors import ConfigError

RUNS = Path(__file__).parents[1] / "vectors" / "solvers"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, caplog):
    """A copy of Caffe's training runs, without their snapshots."""
    shutil.copytree(RUNS, tmp_path / "runs", ignore=shutil.ignore_patterns("it_iter_*"))
    monkeypatch.chdir(tmp_path / "runs")
    caplog.set_level(logging.INFO, "mocha")


def run(*words, code=0):
    done = CliRunner().invoke(main, ["caffe", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


def test_train_and_go_on(caplog):
    run("train", "-solver", "sgd_inv/solver.prototxt", "-weights", "sgd_inv/init.caffemodel")
    for iteration in (25, 50):
        assert Path(f"sgd_inv/it_iter_{iteration}.caffemodel").is_file()
    assert "Optimization Done." in caplog.text
    straight = caffe.read_weights("sgd_inv/it_iter_50.caffemodel")
    caplog.clear()
    run("train", "--solver=sgd_inv/solver.prototxt", "--snapshot=sgd_inv/it_iter_50.solverstate")
    assert "Optimization Done." in caplog.text
    assert set(caffe.read_weights("sgd_inv/it_iter_50.caffemodel")) == set(straight)


def test_snapshot_and_weights_exclude_each_other():
    told = run("train", "-solver", "adam/solver.prototxt", "-weights", "a", "-snapshot", "b", code=2)
    assert "not both" in told


@pytest.mark.parametrize(("effect", "early"), [("stop", True), ("none", False)])
def test_an_interrupt_does_what_was_asked_for(caplog, monkeypatch, effect, early):
    from mocha.caffe.solver import Solver

    step = Solver._iteration

    def interrupted(self, **more):
        loss = step(self, **more)
        if self.iter == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return loss

    monkeypatch.setattr(Solver, "_iteration", interrupted)
    before = signal.getsignal(signal.SIGINT)
    run("train", "-solver", "sgd_inv/solver.prototxt", "-sigint_effect", effect)
    assert ("Optimization stopped early." in caplog.text) is early
    assert ("Optimization Done." in caplog.text) is not early
    assert signal.getsignal(signal.SIGINT) is before


def test_a_hang_up_writes_a_snapshot(monkeypatch):
    from mocha.caffe.solver import Solver

    step = Solver._iteration

    def hung_up(self, **more):
        loss = step(self, **more)
        if self.iter == 3:
            os.kill(os.getpid(), signal.SIGHUP)
        return loss

    monkeypatch.setattr(Solver, "_iteration", hung_up)
    run("train", "-solver", "sgd_inv/solver.prototxt")
    assert Path("sgd_inv/it_iter_3.solverstate").is_file()


def test_test_tells_outputs_and_means(caplog):
    run("test", "-model", "sgd_inv/net.prototxt", "-weights", "sgd_inv/init.caffemodel", "-iterations", "3")
    lines = [record.getMessage() for record in caplog.records]
    each = [float(line.rpartition(" = ")[2]) for line in lines if line.startswith("Batch")]
    assert len(each) == 3
    assert f"loss = {sum(each) / 3:.4g}"[:10] in caplog.text


def test_time(caplog):
    run("time", "-model", "sgd_inv/net.prototxt", "-iterations", "2", "-phase", "TEST")
    for line in ("Average Forward pass: ", "Average Backward pass: ", "Average Forward-Backward: ", "Total Time: "):
        assert line in caplog.text


@pytest.mark.parametrize("gpu", [[], ["-gpu", "0"], ["--gpu=all"]], ids=["without", "one", "all"])
def test_a_script_may_ask_for_a_graphics_card(caplog, gpu):
    run("time", "-model", "adam/net.prototxt", "-iterations", "1", *gpu)
    assert ("nets run on the processor" in caplog.text) is bool(gpu)
    assert "Total Time" in caplog.text


def test_upgrade():
    Path("old.prototxt").write_text(
        'input: "x" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4\n'
        'layers { name: "r" type: RELU bottom: "x" top: "y" }'
    )
    run("upgrade", "old.prototxt", "new.prototxt")
    text = Path("new.prototxt").read_text()
    assert 'type: "ReLU"' in text
    assert 'type: "Input"' in text
    run("upgrade", "old.prototxt", "new.binary")
    assert caffe.read_net("new.binary") == caffe.read_net("new.prototxt")
    Path("old_solver.prototxt").write_text('net: "new.prototxt" solver_type: ADAM')
    run("upgrade", "old_solver.prototxt", "new_solver.prototxt", "--solver")
    assert 'type: "Adam"' in Path("new_solver.prototxt").read_text()


def test_missing_files_are_told():
    for words in (("train", "-solver", "no.prototxt"), ("time", "-model", "no.prototxt"), ("upgrade", "no", "new")):
        assert "no.prototxt" in run(*words, code=1) or "no:" in run(*words, code=1)


SCRIPT = """
import sys
import caffe
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2
import caffe.io

net = caffe.NetSpec()
net.data = L.Input(shape=dict(dim=[1, 2, 4, 4]))
net.pool = L.Pooling(net.data, kernel_size=2, stride=2, pool=P.Pooling.MAX)
open("spec.prototxt", "w").write(str(net.to_proto()))
caffe.set_mode_gpu()
made = caffe.Net("spec.prototxt", caffe.TEST)
made.blobs["data"].data[...] = 3
print(sys.argv[1:], made.forward()["pool"].sum(), caffe_pb2.TRAIN, __name__)
"""


def test_a_script_runs_without_a_change():
    """In a process of its own: `import caffe` has another meaning from then on."""
    Path("script.py").write_text(SCRIPT)
    command = [sys.executable, "-W", "error", "-m", "mocha", "caffe", "run", "script.py", "one", "-two"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['one', '-two'] 24.0 0 __main__"
    assert "nets run on the processor" in done.stderr


def test_a_script_that_fails_shows_where():
    Path("fails.py").write_text(
        "import caffe\n\ndef load():\n    caffe.Net('nowhere.prototxt', caffe.TEST)\n\nload()\n"
    )
    lines = run("run", "fails.py", code=1).splitlines()
    assert lines[0].startswith("Traceback")
    assert 'File "fails.py", line 6, in <module>' in lines[1]
    assert "nowhere.prototxt" in lines[-1]


def test_what_the_system_refuses_is_one_line():
    Path("file").touch()
    assert run("upgrade", "adam/net.prototxt", "file/new.prototxt", code=1).startswith("Error: ")


def test_another_caffe_is_not_put_aside(monkeypatch):
    monkeypatch.setitem(sys.modules, "caffe", types.ModuleType("caffe"))
    with pytest.raises(ConfigError, match="imported as caffe already"):
        caffe.stand_in()
    assert "Could not open file no.py" in run("run", "no.py", code=1)
