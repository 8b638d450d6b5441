import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mocha.testing import catalogue

ROOT = Path(__file__).parents[2]


def test_the_documentation_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs")
    if shutil.which("dot") is None:
        pytest.skip("needs the program dot of Graphviz")
    site = tmp_path / "site"
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    tutorial = (site / "tutorial" / "mnist" / "index.html").read_text(encoding="utf-8")
    assert "HDF5DataLayer" in tutorial
    layer = (site / "reference" / "layers" / "ConvolutionLayer" / "index.html").read_text(encoding="utf-8")
    assert "n_filter" in layer
    assert "bias_lr" in layer, "inherited properties"
    table = (site / "reference" / "catalogue" / "index.html").read_text(encoding="utf-8")
    for entry in catalogue.entries():
        assert f"/{entry.name}/" in table
        assert len(list(site.glob(f"reference/*/{entry.name}/index.html"))) == 1
    assert "<td></td>" not in table
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert '<script src="http' not in text, page
        assert '<link rel="stylesheet" href="http' not in text, page
