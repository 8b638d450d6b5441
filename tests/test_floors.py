import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mocha.errors

ROOT = Path(__file__).parents[1]
PACKAGE = Path(mocha.errors.__file__).parent
HEAVY = (
    "h5py", "matplotlib", "rich", "click", "sklearn", "pooch", "scipy", "google", "cuda", "cudnn", "cupy", "nvmath",
)  # fmt: skip

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs the checkout's pyproject.toml")


def _python(code):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)


def _contracts():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def _exists(module):
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or any(path.glob("*.py"))


def _as_toml(settings):
    """The contracts again, for modules that are there: import-linter calls a floor in parentheses optional."""
    lines = ["[tool.importlinter]", f"root_package = {json.dumps(settings['root_package'])}"]
    for contract in settings["contracts"]:
        lines.append("[[tool.importlinter.contracts]]")
        for key, value in contract.items():
            if key == "layers":
                value = [name if _exists(name) else f"({name})" for name in value]
            elif key in ("source_modules", "forbidden_modules"):
                value = [name for name in value if _exists(name)]
            lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines)


def test_nothing_imports_from_a_floor_above_its_own(tmp_path):
    pytest.importorskip("importlinter")
    config = tmp_path / "contracts.toml"
    config.write_text(_as_toml(_contracts()))
    ran = _python(
        "from importlinter.cli import lint_imports; "
        f"raise SystemExit(lint_imports(config_filename={str(config)!r}, no_cache=True))"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 broken" in ran.stdout


def _floors():
    """From the top."""
    layers = next(contract["layers"] for contract in _contracts()["contracts"] if contract["type"] == "layers")
    return [name.strip(" ()").split(".")[1] for entry in layers for name in entry.split("|")]


def test_every_module_is_on_a_floor():
    floors = set(_floors())
    rooms = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} | rooms
    assert modules - floors - {"__init__"} == set()


def test_the_floors_that_are_told_are_those_that_are_kept():
    floors = [floor for floor in _floors() if not floor.startswith("_")]
    design = (
        (ROOT / "docs" / "design.md").read_text(encoding="utf-8").partition("## The floors")[2].partition("\n## ")[0]
    )
    assert re.findall(r"^\| `(\w+)` \|", design, re.MULTILINE) == floors
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("From the ground up:")[2].partition(".")[0]
    assert re.findall(r"`(\w+)`", text) == floors[::-1]


@pytest.mark.parametrize("module", ["mocha.ops", "mocha.graph", "mocha.parameters", "mocha.backends", "mocha.testing"])
def test_the_ground_floors_load_nothing_heavy(module):
    ran = _python(
        f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}} & set({HEAVY})))"
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []
