"""The documentation builds, and what is made from the code and from measurements is in it."""

import html
import re
import tomllib
from pathlib import Path

import pytest

from benchmarks import digest
from mocha.testing import catalogue

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "xeon-2-cores.json"


def page(site, path):
    return (site / path / "index.html").read_text(encoding="utf-8")


def words(text):
    """What a page says, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_every_entry_of_the_catalogue_has_a_page(site):
    assert "HDF5DataLayer" in page(site, "tutorial/mnist")
    layer = page(site, "reference/layers/ConvolutionLayer")
    assert "n_filter" in layer
    assert "bias_lr" in layer, "inherited properties"
    table = page(site, "reference/catalogue")
    for entry in catalogue.entries():
        assert f"/{entry.name}/" in table
        assert len(list(site.glob(f"reference/*/{entry.name}/index.html"))) == 1
    assert "<td></td>" not in table


def test_nothing_is_left_as_it_was_written(site):
    """Tables that are torn apart, icons that do not exist, places that were not filled, Markdown in HTML."""
    for path in site.rglob("*.html"):
        text = re.sub(r"<(pre|code|script)\b.*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for wrong in ("<p>|", "<!-- ", "--8&lt;--", "=== ", "<p>!!! "):
            assert wrong not in text, f"{path.relative_to(site)}: {wrong}"
        assert not re.search(r":(material|octicons|fontawesome|simple)-[\w-]+:", text), path
        assert not re.search(r"\]\([\w./#-]+\)", text), path


def test_the_texts_of_the_root_are_pages(site):
    assert "Set up" in page(site, "contributing")
    assert "Unreleased" in page(site, "changelog")


@pytest.mark.parametrize("result", digest.read(RESULTS)["races"], ids=lambda race: f"{race['work']} {race['kind']}")
def test_the_benchmarks_are_those_of_the_file(site, result):
    told = words(page(site, "benchmarks"))
    assert f"{digest.title(result)}, {result['kind']}, batch {result['batch']}" in told
    for contestant in result["results"]:
        assert contestant["contestant"] in told
        for which in ("median", "min", "max"):
            assert digest.ms(contestant, which) in told
    if result["kind"] == "training step":
        mine = next(one for one in result["results"] if one["contestant"] == digest.OURS)
        assert f"{digest.ms(mine)} ms" in words(page(site, ""))


def test_no_number_of_the_benchmarks_is_typed():
    for path in (ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "index.md", ROOT / "README.md"):
        assert not re.search(r"\d ?ms\b|times (as fast|faster)", path.read_text(encoding="utf-8")), path


def table_after(text, heading):
    """The first cells of the table below a heading."""
    below = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [row.split("|")[1] for row in below.splitlines() if row.startswith("| `")]


def test_the_page_on_installing_knows_every_variable_and_every_extra():
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    read = {
        name
        for path in (ROOT / "src" / "mocha").rglob("*.py")
        for name in re.findall(r"environ[^\n]*?\"([A-Z]\w+)\"", path.read_text(encoding="utf-8"))
    }
    assert {"MOCHA_BACKEND", "MOCHA_SEED", "XDG_CACHE_HOME"} <= read, "the pattern no longer finds them"
    told = set(re.findall(r"`(\w+)`", " ".join(table_after(text, "Environment"))))
    assert read - {"PYTHONPATH"} <= told
    assert {name for name in told if name.startswith("MOCHA_")} <= read, "a variable that nobody reads"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = set(re.findall(r"`(\w+)`", " ".join(table_after(text, "Extras"))))
    assert told == set(project["optional-dependencies"])
