"""The notebooks run from their first cell to their last, and are committed without what that gives."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
MODEL = ROOT / "examples" / "cifar10" / "cifar10_quick.h5"


@pytest.fixture(scope="module")
def hook():
    """What makes pages of notebooks."""
    for package in ("mkdocs", "nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(package, reason=f"needs {package}, of the group docs")
    about = importlib.util.spec_from_file_location("notebooks", ROOT / "docs" / "notebooks.py")
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == ["image_classification.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_committed(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert set(cell["metadata"]) <= {"tags"}
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert set(notebook["metadata"]["language_info"]) == {"name"}


def test_photos_are_classified(hook):
    pytest.importorskip("skimage", reason="needs scikit-image, of the group docs")
    if not MODEL.is_file():
        pytest.skip(f"needs {MODEL.relative_to(ROOT)}")
    path = ROOT / "examples" / "notebooks" / "image_classification.ipynb"
    pictures = {}
    text = hook.page(hook.executed(path), path, pictures)
    assert text.startswith("# Classifying photos\n")
    assert len(pictures) == 5
    assert all(data.startswith(b"\x89PNG") for data in pictures.values())
    assert all(f"]({name})" in text for name in pictures)
    assert text.count('<div class="output">') >= 2
    right = float(text.partition("\nright: ")[2].partition(" %")[0])
    assert right > 70  # of three classes


def test_what_is_printed_cannot_end_its_block(hook):
    assert hook.fenced("text", "```\nnot code\n") == "````text\n```\nnot code\n````"


def test_a_failing_cell_stops_the_build(hook, tmp_path):
    import nbclient
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, tmp_path / "wrong.ipynb")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="ZeroDivisionError"):
        hook.executed(tmp_path / "wrong.ipynb")
