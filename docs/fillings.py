"""Puts into the pages what stands elsewhere in the repository: the texts of its root, results of benchmarks.

A line `<!-- summary benchmarks/results/file.json -->` becomes what the function of that name in `benchmarks.digest`
says of the file.
"""

import functools
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # benchmarks is no part of the package

from benchmarks import digest  # noqa: E402

TEXTS = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Texts of the root, and the pages that they become."""

FILLINGS = {"machine": digest.machine, "summary": digest.summary, "details": digest.details, "bars": digest.bars}

PLACE = re.compile(r"^<!-- (?P<what>\w+) (?P<path>benchmarks/results/\S+) -->$", re.MULTILINE)
LINK = re.compile(r"\]\((?P<target>[^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make the pages of the root's texts."""
    for text, page in TEXTS.items():
        content = LINK.sub(_as_page, (ROOT / text).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill the places of results."""
    return PLACE.sub(lambda place: FILLINGS[place["what"]](_results(place["path"])), markdown)


def _as_page(link: re.Match[str]) -> str:
    """A link from the root, as one from the documentation's."""
    target = link["target"]
    return f"]({TEXTS.get(target, target.removeprefix('docs/'))}"


@functools.cache
def _results(path: str) -> dict[str, Any]:
    return digest.read(ROOT / path)
