import re
import textwrap

import pytest

from mocha.backends import BackendUnavailable, NativeBackend
from mocha.models import MODELS

NUMBER = r"\d+\.\d+"


def rows(output):
    """(section, layer) of each line of the table, with its cells."""
    lines = output.splitlines()
    rule = next(i for i, line in enumerate(lines) if line.startswith("---"))
    end = lines.index("", rule)
    found = {}
    for line in lines[rule + 1 : end]:
        cells = re.split(r" {2,}", line)
        found[cells[0], cells[1]] = cells[2:]
    return found


def works(name):
    if name == "native":
        try:
            NativeBackend.describe()
        except BackendUnavailable as error:
            pytest.skip(str(error))
    return name


@pytest.fixture(params=["numpy", "native"])
def backend(request):
    return works(request.param)


def test_training(mocha, backend):
    output = mocha("time", "lenet", "--backend", backend, "--batch", 3, "--iterations", 2)
    assert output.startswith(f"net 'lenet', phase train, on the {backend} backend (")
    table = rows(output)
    layers = ["conv1", "pool1", "conv2", "pool2", "ip1", "ip2", "loss"]
    assert [layer for section, layer in table if section == "forward"] == layers
    assert [layer for section, layer in table if section == "backward"] == layers[::-1]
    assert ("update", "all parameters") in table
    for section in ("forward", "backward", "update"):
        assert re.search(rf"^{section} +{NUMBER} ms$", output, re.MULTILINE)
    assert re.search(rf"^all steps +{NUMBER} ms, .* operations, {NUMBER} Gop/s$", output, re.MULTILINE)
    assert re.search(r"^iteration .* as a whole, .*: .* iterations/s, .* examples/s$", output, re.MULTILINE)


def test_shares_sum_up(mocha, backend):
    output = mocha("time", "mlp", "--backend", backend, "--batch", 2, "--iterations", 3)
    table = rows(output).values()
    assert sum(float(cells[2]) for cells in table) == pytest.approx(100, abs=0.05 * len(table) + 0.01)
    total = float(re.search(rf"^all steps +({NUMBER})", output, re.MULTILINE)[1])
    assert sum(float(cells[1]) for cells in table) == pytest.approx(total, abs=0.0005 * (len(table) + 1) + 1e-9)


def test_testing_goes_forward_only(mocha, backend):
    output = mocha("time", "mlp", "--phase", "test", "--backend", backend, "--batch", 2, "--iterations", 2)
    assert {section for section, _ in rows(output)} == {"forward"}
    assert "Dropout" not in output


def test_lenet_and_the_best_backend_unless_told(mocha):
    assert mocha("time", "--batch", 1, "--iterations", 1).startswith("net 'lenet', phase train")


@pytest.mark.parametrize("model", [name for name in MODELS if name != "caffenet"])
def test_each_small_model(mocha, model):
    assert f"net '{model}'" in mocha("time", model, "--backend", "numpy", "--batch", 1, "--iterations", 1)


SCRIPT = """
    import numpy as np
    from mocha import *

    def build(backend):
        x = np.random.default_rng(0).random((8, 5), dtype=np.float32)
        return Net("mine", backend, [
            MemoryDataLayer(data=[x, np.arange(8) % 2], batch_size=4),
            InnerProductLayer(name="scores", output_dim=2, bottoms=["data"], tops=["scores"]),
            SoftmaxLossLayer(name="loss", bottoms=["scores", "label"]),
        ])
"""


@pytest.fixture
def script(tmp_path):
    def write(code):
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("phase", ["train", "test"])
def test_a_program_of_the_user(mocha, backend, script, phase):
    path = script(SCRIPT)
    output = mocha("time", "--script", path, "--backend", backend, "--phase", phase, "--iterations", 2)
    assert output.startswith(f"net 'mine', phase {phase}, on the {backend} backend")
    assert ("forward", "scores") in rows(output)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", r"defines no function build\(backend\)"),
        ("build = 3", r"defines no function build\(backend\)"),
        ("def build(backend): return 3", r"build\(backend\) returned 3; expected a Net"),
        ("def build(backend): return 1 / 0", "build failed: ZeroDivisionError: division by zero"),
        ("def build(): pass", "build failed: TypeError"),
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("def build(backend:", "SyntaxError"),
        ("from mocha import *\ndef build(backend): return Net('empty', Backend('numpy'), [])", "another backend"),
        ("from mocha import *\ndef build(backend): return Net('none', backend, [])", "no loss layer"),
    ],
)
def test_a_program_that_will_not_do(mocha, script, code, message):
    output = mocha("time", "--script", script(code), "--backend", "numpy", fails=1)
    assert re.search(message, output), output
    assert output.startswith("Error: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lenett"], "'lenett' is not one of 'lenet'"),
        (["--batch", 0], "0 is not in the range x>=1"),
        (["--iterations", "many"], "'many' is not a valid integer"),
        (["--phase", "sleep"], "'sleep' is not one of 'train', 'test'"),
        (["--backend", "abacus"], "'abacus' is not one of"),
        (["--script", "nowhere.py"], "'nowhere.py' does not exist"),
    ],
)
def test_wrong_words(mocha, words, message):
    assert message in mocha("time", *words, fails=2)


@pytest.mark.parametrize("words", [["lenet"], ["--batch", 3]])
def test_a_program_excludes_a_model_and_a_batch(mocha, script, words):
    assert "takes the place of MODEL and of --batch" in mocha("time", *words, "--script", script(SCRIPT), fails=2)
