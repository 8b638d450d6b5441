"""Makes pages of notebooks when the documentation is built: they are executed, and an error in one stops the build.

A notebook is committed without outputs. Its page has the outputs of this very build, as Markdown and pictures.
"""

import base64
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "notebooks"
TIMEOUT = 300
"""Seconds that one cell may take."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Write the pages, their pictures, and the notebooks to download."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        pictures: dict[str, bytes] = {}
        text = page(executed(path), path, pictures)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        files.append(File.generated(config, f"notebooks/{path.name}", content=path.read_bytes()))
        for name, data in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=data))
    return files


def executed(path: Path) -> Any:
    """A notebook with its outputs, run in its own folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    # the kernel stands in another folder: what this process imports from must be named in full
    places = os.pathsep.join(os.path.abspath(place) for place in sys.path if place)
    client.execute(env={**os.environ, "PYTHONPATH": places})
    return notebook


def page(notebook: Any, path: Path, pictures: dict[str, bytes]) -> str:
    """A notebook as Markdown.

    Args:
        notebook: executed.
        path: its file.
        pictures: file name -> content, of pictures in its outputs; they are added.
    """
    parts = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code":
            parts.append(fenced("py", cell.source))
            parts += outputs(cell.outputs, f"{path.stem}-{number}", pictures)
    title, *rest = parts
    where = f"[Download this notebook]({path.name}); in the sources it is `{path.relative_to(ROOT)}`."
    return "\n\n".join([title, where, *rest]) + "\n"


def outputs(given: list[Any], name: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """What a cell printed, then what it showed and returned."""
    printed = "".join(output.text for output in given if output.output_type == "stream")
    if printed:
        yield fenced("text", printed)
    for number, output in enumerate(given):
        if output.output_type == "stream":
            continue
        data = output.data
        if "text/html" in data:
            # one line: Markdown would end the block of HTML at an empty one
            yield f'<div class="output">{" ".join(data["text/html"].split(chr(10)))}</div>'
        elif "image/png" in data:
            picture = f"{name}-{number}.png"
            pictures[picture] = base64.b64decode(data["image/png"])
            yield f"![What the code above shows]({picture})"
        elif "text/plain" in data:
            yield fenced("text", data["text/plain"])


def fenced(language: str, text: str) -> str:
    """A block of code, whatever is in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
