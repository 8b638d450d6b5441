"""`python -m mocha.testing.cuda`: what it prints, and how a part that fails is told."""

import sys

import pytest
from tests.backends.cuda.emulation import NEEDS_COMPILER

from mocha.backends import CudaBackend
from mocha.errors import BackendUnavailable
from mocha.testing.cuda import __main__ as command
from mocha.testing.cuda import gpu


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["cuda", *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return ended.value.code


@NEEDS_COMPILER
def test_train_tells_how_far_apart_two_trainings_are(monkeypatch, capsys):
    assert not run(monkeypatch, "train", "--net", "mlp", "--steps", "2", "--batch", "4")
    assert "mlp: 2 steps, loss " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [(["train", "--net", "lenett"], "Did you mean 'lenet'"), (["kernels", "--x"], None), ([], None), (["fly"], None)],
)
def test_wrong_words(monkeypatch, capsys, words, says):
    code = run(monkeypatch, *words)
    assert says in code if says else code == 2


@pytest.fixture
def without_gpu(monkeypatch):
    try:
        CudaBackend().shutdown()
    except BackendUnavailable:
        return
    pytest.skip("there is a GPU here")


def test_without_a_gpu_the_report_says_what_is_missing(monkeypatch, without_gpu, tmp_path):
    report = tmp_path / "report.md"
    code = run(monkeypatch, "gpu", "--report", str(report))
    assert code.startswith("error: ")
    assert not report.exists()


def test_a_report_holds_every_part_also_one_that_crashes_or_hangs(monkeypatch, tmp_path, capsys):
    programs = {
        "right": "print('fine')",
        "crash": "import os; print('before', flush=True); os._exit(11)",
        "hang": "import time; print('still here', flush=True); time.sleep(60)",
    }
    monkeypatch.setattr(CudaBackend, "describe", classmethod(lambda cls: "a GPU"))
    monkeypatch.setattr(gpu, "PARTS", dict.fromkeys(programs, (test_wrong_words, 5)))
    monkeypatch.setattr(gpu, "_command", lambda part: [sys.executable, "-c", programs[part]])
    assert not gpu.write_report(tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text()
    for words in ("## right: all right", "fine", "## crash: NOT ALL RIGHT", "before", "## hang: NOT ALL RIGHT"):
        assert words in text
    assert "still here\nSTOPPED after 5 s" in text
    assert "hang: NOT ALL RIGHT" in capsys.readouterr().out
