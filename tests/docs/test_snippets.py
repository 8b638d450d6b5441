"""The documentation is a program: its blocks are executed, and the examples are run."""

import ast
import itertools
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import h5py
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
CI = ROOT / ".ci" / "run"

TUTORIALS = {
    "mnist": "mnist/mnist.py",
    "dropout": "mnist-dropout/mnist_dropout.py",
    "cifar10": "cifar10/cifar10.py",
    "denoising-autoencoder": "denoising-autoencoder/denoising_autoencoder.py",
    "variational-autoencoder": "variational-autoencoder/variational_autoencoder.py",
    "learning-curves": "learning-curves/learning_curves.py",
}
"""Page of docs/tutorial -> the program of examples/ that it explains, piece by piece."""

_SHORTER = {
    "mnist": [("max_iter=10000", "max_iter=20"), ("every_n_iter=5000", "every_n_iter=10")],
    "dropout": [("EPOCHS * EPOCH,", "20,"), ("output_dim=1200", "output_dim=20")],
    "cifar10": [("max_iter=70000", "max_iter=4")],
    "denoising-autoencoder": [("= 15 * EPOCH", "= 4"), ("= 20000", "= 10"), ("output_dim=1000", "output_dim=20")],
    "variational-autoencoder": [("max_iter=20000", "max_iter=20")],
    "learning-curves": [("= 5000", "= 20")],
}
SHORTER = {
    **{ROOT / "docs" / "tutorial" / f"{page}.md": _SHORTER[page] for page in TUTORIALS},
    **{ROOT / "examples" / program: _SHORTER[page] for page, program in TUTORIALS.items()},
    ROOT / "examples" / "cifar10" / "cifar10_quick.py": [("max_iter=5000", "max_iter=4")],
}
SHORTER[ROOT / "docs" / "tutorial" / "mnist.md"] = [*_SHORTER["mnist"], ("snapshot-010000.h5", "snapshot-000020.h5")]
"""What is replaced, where, so that a training takes seconds. Each must be there, once."""

FENCE = re.compile(r"^(?P<edge> *)```(?P<language>\w+)\n(?P<code>.*?)^(?P=edge)```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"python", "bash", "text", "py", "cpp", "julia", "matlab", "protobuf", "toml"}
"""What blocks may be written in. Python and Mocha's commands are tried out; `py` is a piece that cannot run alone."""
INCLUDE = re.compile(r'^--8<-- "(?P<path>[^"]+)"$', re.MULTILINE)


def blocks(page, language):
    """The line before each block of a language, and its code, with what it includes."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match["language"] == language:
            code = textwrap.dedent(match["code"])
            code = INCLUDE.sub(lambda include: (ROOT / include["path"]).read_text(encoding="utf-8"), code)
            yield text.count("\n", 0, match.start()) + 1, code


def shortened(path, codes):
    for old, new in SHORTER.get(path, []):
        assert sum(code.count(old) for code in codes) == 1, f"{path.name} has {old!r} not once; mend SHORTER"
        codes = [code.replace(old, new) for code in codes]
    return codes


def name(path):
    return str(path.relative_to(ROOT))


@pytest.fixture(autouse=True)
def made_up_data(tmp_path, monkeypatch, request):
    """A working directory with what `mocha convert` writes for MNIST or CIFAR-10, but small and without meaning."""
    rng = np.random.default_rng(0)
    cifar = "cifar10" in request.node.name
    for split in ("train", "test"):
        with h5py.File(tmp_path / f"{split}.hdf5", "w") as file:
            pixels = rng.integers(0, 256, (200, 3, 32, 32), np.uint8)
            file["data"] = pixels if cifar else rng.random((200, 1, 28, 28), dtype=np.float32)
            file["label"] = rng.integers(0, 10, (200, 1)).astype(np.float32)
        (tmp_path / f"{split}-data-list.txt").write_text(f"{split}.hdf5\n")
    if cifar:
        with h5py.File(tmp_path / "mean.hdf5", "w") as file:
            file["mean"] = np.full((3, 32, 32), 128, np.float32)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", [page for page in PAGES if any(blocks(page, "python"))], ids=name)
def test_python_blocks_run(page):
    found = list(blocks(page, "python"))
    namespace = {"__name__": "snippet"}
    for (line, _), code in zip(found, shortened(page, [code for _, code in found]), strict=True):
        # as many empty lines before it as in the page, so that a traceback names the page's own line
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_block_escapes(page):
    text = page.read_text(encoding="utf-8")
    found = [match["language"] for match in FENCE.finditer(text)]
    assert set(found) <= LANGUAGES
    assert 2 * len(found) == sum(line.strip().startswith(("```", "~~~")) for line in text.splitlines())


@pytest.mark.parametrize("page", TUTORIALS)
def test_a_tutorial_is_its_example_word_for_word(page):
    """Only the docstring at the top of the program is not on the page."""
    told = "".join(code for _, code in blocks(ROOT / "docs" / "tutorial" / f"{page}.md", "python"))
    program = (ROOT / "examples" / TUTORIALS[page]).read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(program), clean=False)
    if docstring is not None:
        program = program.replace(f'"""{docstring}"""', "", 1)
    expected = [line for line in program.splitlines() if line]
    assert [line for line in told.splitlines() if line][: len(expected)] == expected


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_examples_run(example, tmp_path):
    (code,) = shortened(example, [example.read_text(encoding="utf-8")])
    script = tmp_path / example.name
    script.write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    assert "TRAIN iter=" in ran.stderr


def mocha_commands():
    """Each `mocha ...` in a block of shell commands: page, line, and the words after it."""
    for page in PAGES:
        for line, code in blocks(page, "bash"):
            for command in re.split(r"&&|\n", code):
                words = shlex.split(command, comments=True)
                words = list(itertools.dropwhile(lambda word: "=" in word, words))
                if words and Path(words[0]).name == "mocha":
                    yield pytest.param(words[1:], id=f"{name(page)}:{line} {' '.join(words[1:])}")


@pytest.mark.parametrize("words", list(mocha_commands()))
def test_mocha_commands_exist(words):
    from mocha.cli import main

    command = main
    words = list(words)
    while words and isinstance(command, click.Group):
        word = words.pop(0)
        assert word in command.commands, f"mocha has no command {word!r}; it has {', '.join(command.commands)}"
        command = command.commands[word]
    command.make_context(command.name, words)  # refuses options that do not exist


def steps_of_ci():
    """The script's text, programs without their folder."""
    return CI.read_text(encoding="utf-8").replace('"$venv/bin/', "").replace('"', "")


@pytest.mark.skipif(not CI.exists(), reason="a source package comes without .ci")
def test_ci_runs_the_tests_as_the_readme_does():
    command = next(code for _, code in blocks(ROOT / "README.md", "bash") if "pytest" in code)
    making, *rest = command.strip().split(" && ")
    assert making == "python3 -m venv .venv"
    for step in rest:
        assert step.removeprefix(".venv/bin/").replace("pip install", "pip install -q") in steps_of_ci()


@pytest.mark.skipif(not CI.exists(), reason="a source package comes without .ci")
def test_ci_runs_all_checks_of_contributing():
    checks = next(code for _, code in blocks(ROOT / "CONTRIBUTING.md", "bash") if "ruff" in code)
    for check in checks.strip().splitlines():
        assert check.removeprefix(".venv/bin/") in steps_of_ci()
