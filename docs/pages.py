"""Makes the reference's pages when the documentation is built: one for each entry of the catalogue and each tool.

Everything on them is taken from the code: docstrings, properties and their defaults, the commands' own help, and what
running the catalogue showed. A property without a description, or an entry without a test, stops the build.
"""

import dataclasses
import functools
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import mocha
import mocha.testing
from mocha.caffe.layer_types import TYPES
from mocha.cli import main
from mocha.console import quiet
from mocha.testing import catalogue

ROOT = Path(__file__).parents[1]

FOLDERS = {
    "layer": "layers",
    "neuron": "neurons",
    "initializer": "initializers",
    "regularizer": "regularizers",
    "constraint": "constraints",
    "solver": "solvers",
    "learning-rate policy": "policies",
    "momentum policy": "policies",
    "break": "breaks",
    "transformer": "transformers",
}
"""The folder of each kind of entry, in the order of the navigation."""

FUNCTIONS = {
    "autoencoder_stages": mocha.autoencoder_stages,
    "check_gradients": mocha.testing.check_gradients,
    "check_op": mocha.testing.check_op,
    "ImageClassifier": mocha.ImageClassifier,
    "load_classifier": mocha.load_classifier,
    "load_network": mocha.load_network,
    "Predictor": mocha.Predictor,
    "pretrain": mocha.pretrain,
    "read_statistics": mocha.read_statistics,
    "run_layers": mocha.run_layers,
    "save_network": mocha.save_network,
}
"""The tools that are no commands."""


# -- what mkdocs calls


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation, in front of the pages of the rooms."""
    reference = next(entry["Reference"] for entry in config.nav if "Reference" in entry)
    by_folder: dict[str, list[dict[str, str]]] = {}
    for entry in catalogue.entries():
        by_folder.setdefault(FOLDERS[entry.kind], []).append({entry.name: path_of(entry)})
    tools = [{title: f"reference/tools/{name}.md"} for title, name, _ in tool_pages()]
    pages = [{folder.capitalize(): pages} for folder, pages in by_folder.items()]
    reference[1:1] = [{"Catalogue": "reference/catalogue.md"}, *pages, {"Tools": tools}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Write the pages."""
    rows = rows_of_the_catalogue()
    pages = {path_of(row.entry): entry_page(row) for row in rows}
    pages.update((f"reference/tools/{name}.md", text) for _, name, text in tool_pages())
    pages["reference/catalogue.md"] = catalogue_page(rows)
    pages["reference/caffe-layers.md"] = caffe_layers_page()
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


@functools.cache
def rows_of_the_catalogue() -> list[catalogue.Row]:
    """Every entry, run on the backends that work here."""
    with quiet():
        rows = catalogue.examine_all()
    wrong = [row for row in rows if not row.ok]
    if wrong:
        raise ValueError(catalogue.report(wrong))
    return rows


def path_of(entry: catalogue.Entry) -> str:
    """Where the entry's page is, from the documentation's root."""
    return f"reference/{FOLDERS[entry.kind]}/{entry.name}.md"


# -- the pages


def entry_page(row: catalogue.Row) -> str:
    """Formula, properties, example, and where it runs."""
    entry = row.entry
    sections = parsed(entry.cls)
    parts = [f"# {entry.name}", *texts(sections)]
    described = list(properties(entry.cls))
    if described:
        what = "Properties" if dataclasses.is_dataclass(entry.cls) else "Arguments"
        parts += [f"## {what}", table(("Name", "Default", "Meaning"), described)]
    parts += ["## Example", *examples(sections)]
    tests = ", ".join(f"`{path}`" for path in tests_of(entry))
    facts = [("Class", f"`{entry.cls.__module__}.{entry.cls.__qualname__}`"), ("Tests", tests),
             ("Gradient against differences", row.gradients), ("NumPy backend", row.numpy),
             ("Native backend", row.native)]  # fmt: skip
    return "\n\n".join([*parts, "## Where it is and runs", table(("", ""), facts)]) + "\n"


def catalogue_page(rows: Iterable[catalogue.Row]) -> str:
    """The table of all entries."""
    lines = [
        (
            row.entry.kind,
            f"[{row.entry.name}]({path_of(row.entry).removeprefix('reference/')})",
            f"`{row.entry.cls.__module__}.{row.entry.cls.__qualname__}`",
            ", ".join(f"`{path}`" for path in tests_of(row.entry)),
            row.gradients,
            row.numpy,
            row.native,
        )
        for row in rows
    ]
    head = ("Kind", "Name and page", "Class", "Tests", "Gradient", "NumPy", "Native")
    return f"""# The catalogue

All that nets are made of and trained with. The table is made when this documentation is built, by running a small
training with each entry on each backend, as `mocha check --catalogue` does: results agree to 1e-4 of an array's largest
number, and the number behind "right" is the worst relative error of a gradient against central differences in float64.
"reference" means the array code that defines an op, "kernels" the native library's own, "same code" that the entry runs
in front of the backends.

{table(head, lines)}
"""


def caffe_layers_page() -> str:
    """The table of Caffe's layer types."""
    lines = [
        (f"`{name}`", flowing(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0]), bounds(cls.bottom_counts),
         bounds(cls.top_counts))
        for name, cls in sorted(TYPES.items())
    ]  # fmt: skip
    return f"""# Caffe's layer types

What a layer of each type does in a net of Caffe's, and how many bottoms and tops it may have. Its properties are those
of Caffe's messages. See [Caffe's nets and scripts](../guide/caffe.md).

{table(("Type", "What it computes", "Bottoms", "Tops"), lines)}
"""


def bounds(counts: tuple[int, int | None]) -> str:
    """A smallest and a largest number in words."""
    low, high = counts
    return f"{low} or more" if high is None else str(low) if low == high else f"{low} to {high}"


def tool_pages() -> Iterator[tuple[str, str, str]]:
    """Title, file name and text of each command's and each function's page."""
    for name, command in sorted(main.commands.items()):
        yield from command_pages(command, ("mocha", name))
    for name, function in FUNCTIONS.items():
        sections = parsed(function)
        takes = list(arguments(function, sections))
        parts = [
            f"# {name}",
            f"```py\nfrom {'mocha' if hasattr(mocha, name) else 'mocha.testing'} import {name}\n```",
            *texts(sections),
        ]
        parts += ["## Arguments", table(("Name", "Default", "Meaning"), takes)]
        found = [*examples(sections)]
        yield name, name, "\n\n".join([*parts, *(["## Example", *found] if found else [])]) + "\n"


def command_pages(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """A command's page, and those of the commands below it."""
    title = " ".join(words)
    context = click.Context(command, info_name=title)
    usage = f"```text\n{context.get_usage().removeprefix('Usage: ')}\n```"
    options = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) or (parameter.make_metavar(context), "")
        options.append((f"`{record[0]}`", record[1].replace("  ", " ") or "see above"))
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")  # click's mark of a block of lines
    parts = [f"# {title}", text, usage, table(("Option", "Meaning"), options)]
    yield title, "-".join(words), "\n\n".join(parts) + "\n"
    if isinstance(command, click.Group):
        for name, below in sorted(command.commands.items()):
            yield from command_pages(below, (*words, name))


# -- what docstrings say

Section = griffe.DocstringSection


def parsed(thing: Any) -> list[Section]:
    """The sections of a docstring."""
    text = inspect.cleandoc(thing.__doc__)
    return griffe.Docstring(text).parse("google", warnings=False, returns_multiple_items=False)


def texts(sections: Iterable[Section]) -> Iterator[str]:
    """The paragraphs that stand in no section with a title of its own, and what is returned and raised."""
    for section in sections:
        if section.kind is griffe.DocstringSectionKind.text:
            yield section.value
        elif section.kind in (griffe.DocstringSectionKind.returns, griffe.DocstringSectionKind.raises):
            for item in section.value:
                raised = section.kind is griffe.DocstringSectionKind.raises
                yield f"{f'Raises `{item.annotation}`' if raised else 'Returns'}: {flowing(item.description)}"


def examples(sections: Iterable[Section]) -> Iterator[str]:
    """The examples as blocks of code."""
    for section in sections:
        if section.kind is griffe.DocstringSectionKind.examples:
            for kind, text in section.value:
                code = kind is griffe.DocstringSectionKind.examples
                yield f"```pycon\n{text}\n```" if code else text


def properties(cls: type) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of all that an instance is made with: the class's own first, then what it inherits."""
    if not dataclasses.is_dataclass(cls):
        yield from arguments(cls, parsed(cls))
        return
    told = descriptions(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for name in sorted(fields, key=list(told).index):
        field = fields[name]
        missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        yield f"`{name}`", "must be given" if missing else f"`{shown(field.default)}`", told[name]


def descriptions(cls: type) -> dict[str, str]:
    """Property -> its description, from the docstrings of the class and of those above it."""
    told: dict[str, str] = {}
    for kind in inspect.getmro(cls):
        if kind.__module__.startswith("mocha") and kind.__dict__.get("__doc__"):
            for section in parsed(kind):
                if section.kind is griffe.DocstringSectionKind.parameters:
                    for item in section.value:
                        told.setdefault(item.name, flowing(item.description))
    return told


def arguments(thing: Any, sections: Iterable[Section]) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of what a function or a plain class takes."""
    told = {
        item.name.lstrip("*"): flowing(item.description)
        for section in sections
        if section.kind is griffe.DocstringSectionKind.parameters
        for item in section.value
    }
    for name, parameter in inspect.signature(thing).parameters.items():
        many = {parameter.VAR_POSITIONAL: "any number", parameter.VAR_KEYWORD: "any, by name"}.get(parameter.kind)
        given = many or ("must be given" if parameter.default is parameter.empty else f"`{shown(parameter.default)}`")
        yield f"`{name}`", given, told[name]


def shown(value: Any) -> str:
    """A default as it would be written."""
    for prefix, space in (("Neurons", mocha.Neurons), ("Pooling", mocha.Pooling), ("LRNMode", mocha.LRNMode),
                          ("ElementWiseFunctors", mocha.ElementWiseFunctors)):  # fmt: skip
        for name, cls in vars(space).items():
            if type(value) is cls:
                return f"{prefix}.{name}()"
    return value.__name__ if inspect.isclass(value) else repr(value)


def flowing(text: str) -> str:
    """A text in one line."""
    return " ".join(text.split())


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of which no cell is empty."""
    lines = [head, tuple("---" for _ in head)]
    for row in rows:
        if not all(row):
            raise ValueError(f"an empty cell in the row {row} under {head}")
        lines.append(tuple(cell.replace("|", "\\|") for cell in row))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# -- which tests speak of it


@functools.cache
def test_texts() -> dict[str, str]:
    """Path of each test -> its text."""
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("tests/*/test_*.py"))
    }


def tests_of(entry: catalogue.Entry) -> list[str]:
    """The tests that speak of an entry most, two at most.

    Raises:
        ValueError: none does.
    """
    word = re.compile(rf"\b{re.escape(entry.name)}\b")
    counts = {path: len(word.findall(text)) for path, text in test_texts().items()}
    found = sorted((path for path, count in counts.items() if count), key=lambda path: -counts[path])[:2]
    if not found:
        raise ValueError(f"no test speaks of {entry.name}")
    return sorted(found)
