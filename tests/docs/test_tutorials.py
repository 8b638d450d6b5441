"""What the tutorials say came out is what the statistics say that their programs left."""

import re
from pathlib import Path

import pytest

from mocha import read_statistics

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
TABLE = re.compile(r"^<!-- measured (?P<path>examples/\S+) (?P<key>\S+) -->\n\n(?P<rows>(?:\|.*\n)+)", re.MULTILINE)


def tables():
    for page in PAGES:
        for table in TABLE.finditer(page.read_text(encoding="utf-8")):
            yield pytest.param(table, id=f"{page.stem}: {table['path']}")


@pytest.mark.parametrize("table", list(tables()))
def test_the_second_column_is_what_was_measured(table):
    numbers = read_statistics(ROOT / table["path"])[table["key"]]
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table["rows"].splitlines()[2:]]
    assert rows
    for iteration, told, *_ in rows:
        value = numbers[int(iteration.replace(",", ""))]
        assert told == (f"{100 * value:.2f} %" if told.endswith("%") else f"{value:.1f}")


def test_each_tutorial_has_results():
    without = [page.stem for page in PAGES if "<!-- measured " not in page.read_text(encoding="utf-8")]
    assert without == []
    for page in [*PAGES, *(ROOT / "examples").rglob("README.md")]:
        assert not re.search(r"\b(RESULTS|[A-Z]+TIME|FULL|SDA\d?|VAEOBJ)\b", page.read_text(encoding="utf-8")), page
