"""Every link leads somewhere: in the built pages, and in the texts beside the programs."""

import html.parser
import re
import urllib.parse
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "examples").rglob("README.md"))),
]
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("use", "href")}
"""What a browser fetches by itself. It comes from the site."""
NOT_LOADED = {"canonical", "prev", "next", "alternate", "edit"}
"""What a <link> may be that is only told."""
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


class Page(html.parser.HTMLParser):
    """The anchors and the links of a page."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loaded = {"", "__top"}, [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        for key in ("href", "src"):
            target = attributes.get(key)
            if target is None or (tag, attributes.get("rel")) in {("link", rel) for rel in NOT_LOADED}:
                continue
            self.links.append(target)
            if (tag, key) in LOADED:
                self.loaded.append(target)


@pytest.fixture(scope="module")
def pages(site):
    """Path of each page -> its links and anchors."""
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def is_external(target):
    return bool(urllib.parse.urlsplit(target).scheme) or target.startswith("//")


def well_formed(target):
    """An address of a page that is sent encrypted."""
    parts = urllib.parse.urlsplit(target)
    host = parts.hostname or ""
    return parts.scheme == "https" and re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", host) and not re.search(r"\s", target)


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, page in pages.items():
        assert not [target for target in page.loaded if is_external(target) and not target.startswith("data:")], path
    for path in site.rglob("*.css"):
        for target in re.findall(r"(?:url\(|@import )\s*[\"']?([^\"')\s;]+)", path.read_text(encoding="utf-8")):
            assert target.startswith(("data:", "#")) or not is_external(target), f"{path.name}: {target}"


def test_links_within_lead_to_pages_and_anchors(site, pages):
    broken = []
    for path, page in pages.items():
        for target in {target for target in page.links if not is_external(target)}:
            parts = urllib.parse.urlsplit(target)
            place = urllib.parse.unquote(parts.path)
            found = path
            if place:
                found = site / place.lstrip("/") if place.startswith("/") else path.parent / place
                found = found.resolve()
                found = found / "index.html" if found.is_dir() else found
            anchor = urllib.parse.unquote(parts.fragment)
            known = found in pages and anchor in pages[found].anchors
            if not (found.is_file() and (known or not anchor)):
                broken.append(f"{path.relative_to(site)}: {target}")
    assert not broken, "\n".join(broken)


def test_links_elsewhere_are_well_formed(site, pages):
    wrong = [
        f"{path.relative_to(site)}: {target}"
        for path, page in pages.items()
        for target in page.links
        if is_external(target) and not target.startswith("data:") and not well_formed(target)
    ]
    assert not wrong, "\n".join(wrong)


def anchors_of(text):
    """The anchors that a repository's web page gives to headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_links_of_texts_lead_to_files(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [match["target"] for match in LINK.finditer(text)]
    assert targets or name.startswith("examples")
    for target in targets:
        if is_external(target):
            assert well_formed(target), target
            continue
        place, _, anchor = target.partition("#")
        if place in ("docs/contributing.md", "docs/changelog.md"):
            raise AssertionError(f"{target} is made when the documentation is built; link to the text itself")
        path = (ROOT / name).parent / place if place else ROOT / name
        assert path.is_file(), target
        if anchor:
            assert anchor in anchors_of(path.read_text(encoding="utf-8")), target


def test_the_readers_of_links_see_what_is_wrong():
    page = Page('<a href="x/#y">x</a><h2 id="a">a</h2><script src="https://example.org/a.js"></script>')
    assert page.anchors == {"", "__top", "a"}
    assert page.links == ["x/#y", "https://example.org/a.js"]
    assert page.loaded == ["https://example.org/a.js"]
    assert well_formed("https://example.org/a?b#c")
    assert not any(map(well_formed, ["http://example.org", "https://", "https://exa mple.org", "//example.org"]))
    assert anchors_of("# A `b`, c\n```bash\n# no\n```\n") == {"a-b-c"}
