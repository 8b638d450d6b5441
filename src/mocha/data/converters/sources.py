"""Where images and their labels are listed: folders of classes, Caffe's image lists, tables."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from mocha.data.converters.columns import Columns
from mocha.data.converters.labels import LabelKind, LabelReader, LabelTable
from mocha.data.converters.splits import Indices, SplitReader
from mocha.data.images import ENDINGS
from mocha.data.names import checked_names
from mocha.errors import ConfigError, FormatError, did_you_mean

SPLIT_FOLDERS = {"train": "train", "training": "train", "test": "test", "testing": "test", "val": "val",
                 "valid": "val", "validation": "val"}  # fmt: skip
"""Names of folders that are taken for splits, if there are no others beside them."""

IMAGE_COLUMN, LABEL_COLUMN, SPLIT_COLUMN = "ImageName", "Label", "TrainTest"
"""The columns that Mocha.jl's example of a converter read; here in any case."""


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """Images, one after the other.

    Attributes:
        root: the folder that names are relative to.
        names: of the files.
        labels: of the images.
        splits: those that the source names itself.
        passed_over: files that are no images by their names.
    """

    root: Path
    names: list[str]
    labels: LabelTable
    splits: dict[str, Indices] | None = None
    passed_over: int = 0


# -- folders


def from_folder(source: Path, known: Sequence[str] | None) -> Listing:
    """A folder with one sub-folder a class, in which images lie at any depth.

    Classes are numbered in the order of the sorted names. Where the sub-folders are splits by their names (train,
    test, val) and hold folders themselves, these are the classes, the same for all splits. Hidden files and folders
    are passed over.

    Args:
        source: the folder.
        known: the names of all classes, in the order of their numbers; None: those that are found, sorted.

    Raises:
        FormatError: there are no sub-folders, or one has no images or is none of the known classes; or images lie
            beside them; or some sub-folders are splits and others are not.
    """
    top = _folders(source)
    as_splits = [name for name in top if _is_split(source / name)]
    if as_splits and len(as_splits) < len(top):
        odd = next(name for name in top if name not in as_splits)
        flat = "holds no folders of classes" if odd.lower() in SPLIT_FOLDERS else "is not called train, test or val"
        raise FormatError(
            f"{source}: {as_splits[0]!r} is a split by its name and the folders in it, but {odd!r} beside it {flat}. "
            f"Take {odd!r} away, or convert {source / as_splits[0]} alone, or give an image list or a CSV file."
        )
    splits = SplitReader() if as_splits else None
    if splits is None:
        parts = [(name, "", name) for name in top]
    else:
        parts = [(f"{name}/{inner}", SPLIT_FOLDERS[name.lower()], inner) for name in top
                 for inner in _folders(source / name)]  # fmt: skip
    found_names = sorted({inner for _, _, inner in parts})
    classes = checked_names(found_names if known is None else known)
    number = {name: place for place, name in enumerate(classes)}
    if unknown := [name for name in found_names if name not in number]:
        raise FormatError(f"{source}: {unknown[0]!r} is none of the classes. {did_you_mean(unknown[0], classes)}")
    names: list[str] = []
    labels: list[int] = []
    passed_over = 0
    for part, split, inner in parts:
        before = len(names)
        for name in _files(source, part):
            if os.path.splitext(name)[1].lower() in ENDINGS:
                names.append(name)
            else:
                passed_over += 1
        found = len(names) - before
        if found == 0:
            raise FormatError(f"{source / part}: the folder of a class, but without images. Take it away, or fill it.")
        labels += [number[inner]] * found
        if splits is not None:
            for _ in range(found):
                splits.add(split, part)
    values = np.array(labels, np.float64).reshape(-1, 1)
    table = LabelTable(values, classes, True)
    return Listing(source, names, table, None if splits is None else splits.finish(), passed_over)


def _is_split(folder: Path) -> bool:
    if folder.name.lower() not in SPLIT_FOLDERS:
        return False
    return any(entry.is_dir() for entry in _entries(folder))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> FormatError:
    return FormatError(f"{error.filename}: the folder cannot be read ({error.strerror}). Check its permissions.")


def _folders(folder: Path) -> list[str]:
    entries = _entries(folder)
    astray = sorted(e.name for e in entries if not e.is_dir() and os.path.splitext(e.name)[1].lower() in ENDINGS)
    names = sorted(entry.name for entry in entries if entry.is_dir())
    if astray or not names:
        what = f"the image {astray[0]!r} lies in no folder of a class" if astray else "there are no folders in it"
        raise FormatError(
            f"{folder}: {what}. Expected one sub-folder a class, with its images; for others give an image list or a "
            "CSV file."
        )
    return names


def _files(source: Path, part: str) -> Iterator[str]:
    """All files below a folder, relative to the source, in sorted order. Links are followed, but never in a circle."""
    seen = set()

    def stop(error: OSError) -> None:
        raise _unreadable(error) from error

    for place, folders, files in os.walk(source / part, onerror=stop, followlinks=True):
        about = os.stat(place)
        if (about.st_dev, about.st_ino) in seen:
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(place, source)
        yield from (os.path.join(inside, name) for name in sorted(files) if not name.startswith("."))


# -- lists


def from_list(source: Path, root: Path | None, kind: LabelKind, count: int, known: Sequence[str] | None) -> Listing:
    """An image list as Caffe has them: a line has a path, which may have blanks in it, and its labels.

    Args:
        source: the text file.
        root: what is put before the paths; None: relative paths are seen from the list's folder.
        kind: of the labels.
        count: labels in a line, the last fields of it.
        known: the names of all classes.

    Raises:
        ConfigError: `count` is not a whole number above 0.
        FormatError: the file is no such list.
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
        raise ConfigError(f"label_count is {count!r}; expected a whole number above 0.")
    names, labels = [], LabelReader(kind, count, known)
    with _text(source, "a list of images, one 'path label' a line") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{source}, line {number}"
            fields = line.strip().rsplit(None, count)
            if len(fields) <= count:
                raise FormatError(
                    f"{where}: {line.strip()[:100]!r}; expected the path of an image and {count} label"
                    f"{'s' if count > 1 else ''}, with blanks between."
                )
            names.append(_name(fields[0], root, where))
            labels.add(fields[1:], where)
    return Listing(root if root is not None else source.parent, _some(names, source), labels.finish())


@contextlib.contextmanager
def _text(source: Path, what: str) -> Iterator[TextIO]:
    """A text file, open; whatever else it is ends in a message."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise FormatError(f"{source}: expected {what}, in UTF-8; found other bytes ({error.reason}).") from error


def _name(text: str, root: Path | None, where: str) -> str:
    if not text or "\0" in text:
        raise FormatError(f"{where}: {text!r} is not the path of an image.")
    return text.lstrip("/") if root is not None else text  # Caffe puts root and path together as texts


def _some(names: list[str], source: Path) -> list[str]:
    if not names:
        raise FormatError(f"{source}: there are no images in it. Expected one a line.")
    return names


# -- tables


def from_table(
    source: Path,
    root: Path | None,
    kind: LabelKind,
    image_column: str | int | None,
    label_columns: Sequence[str | int],
    split_column: str | int | None,
    known: Sequence[str] | None,
) -> Listing:
    """A CSV file with a header; ``.tsv``: with tabs. See `convert_images` for the arguments.

    Raises:
        ConfigError: a column that was asked for is not there.
        FormatError: the file is no such table.
    """
    with _text(source, "a CSV file with a header") as file:
        rows = csv.reader(file, delimiter="\t" if source.suffix.lower() == ".tsv" else ",", strict=True)
        try:
            head = [name.strip() for name in next(rows, [])]
            columns = Columns(source, head, len(head))
            image = _chosen(columns, image_column, IMAGE_COLUMN)
            chosen = [_chosen(columns, name, LABEL_COLUMN) for name in label_columns or (None,)]
            split = columns.default(SPLIT_COLUMN) if split_column is None else columns.place(split_column)
            names, labels, splits = [], LabelReader(kind, len(chosen), known), SplitReader()
            for row in rows:
                if not row:
                    continue
                where = f"{source}, line {rows.line_num}"
                if len(row) != len(head):
                    raise FormatError(f"{where}: {len(row)} fields; expected {len(head)}, as in the header.")
                names.append(_name(row[image].strip(), root, where))
                labels.add([row[place] for place in chosen], where)
                if split is not None:
                    splits.add(row[split], where)
        except csv.Error as error:
            raise FormatError(f"{source}, line {rows.line_num}: damaged CSV ({error}). Are quotes alone?") from error
    given = splits.finish() if split is not None else None
    return Listing(root if root is not None else source.parent, _some(names, source), labels.finish(), given)


def _chosen(columns: Columns, column: str | int | None, default: str) -> int:
    found = columns.default(default) if column is None else None
    return columns.place(default if column is None else column) if found is None else found
