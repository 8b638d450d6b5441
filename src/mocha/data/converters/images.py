"""Images in files, to HDF5 files that data layers read."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from mocha.data.converters import sources
from mocha.data.converters.jobs import PER_FILE, Block, Converted, Job, Piece, cut, digest_of
from mocha.data.converters.labels import LabelKind
from mocha.data.converters.pieces import run
from mocha.data.converters.pool import checked_workers, mapped
from mocha.data.converters.splits import TRAIN, Indices, arrange
from mocha.data.images import FITS, Fit, Pixels, fit_image, read_image
from mocha.errors import ConfigError, FormatError, ShapeError
from mocha.optional import optional
from mocha.random import DEFAULT_SEED, checked_seed

ChannelOrder = Literal["rgb", "bgr"]
Damaged = Literal["stop", "skip"]

_TABLES = (".csv", ".tsv")
_AT_ONCE = 32
_MISSING = -1


def convert_images(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    fit: Fit = "stretch",
    color: bool = True,
    channel_order: ChannelOrder = "rgb",
    root: str | os.PathLike[str] | None = None,
    image_column: str | None = None,
    label_columns: Sequence[str] = (),
    split_column: str | None = None,
    label_count: int = 1,
    labels: LabelKind = "auto",
    split: str = TRAIN,
    test_share: float = 0.0,
    shuffle: bool = True,
    seed: int = DEFAULT_SEED,
    mean: bool = False,
    per_file: int = PER_FILE,
    damaged: Damaged = "stop",
    workers: int | None = None,
    overwrite: bool = False,
) -> Converted:
    """Convert images in files to HDF5 files.

    For each split, ``train-00000.hdf5`` and so on have the datasets ``data``, uint8 of (N, C, H, W), and ``label``,
    float32 of (N, 1) or (N, k); ``train-data-list.txt`` names them. ``classes.txt`` has the names of the classes, if
    there are names. Interrupted, the same call goes on after the last finished file. What is written depends neither
    on that nor on the number of workers.

    Args:
        source: a folder with one sub-folder a class; or a list as Caffe has them, one ``path label`` a line; or a
            ``.csv`` or ``.tsv`` file with a header. Where the sub-folders are called train, test or val and hold
            folders themselves, these are the classes.
        out: the folder to write to, made if missing.
        size: (height, width) of all images, or one number for both; None: all have the same already.
        fit: how an image comes to that size, see `fit_image`.
        color: three channels, whatever the files have; else one, grey.
        channel_order: "rgb", or "bgr", as Caffe's nets want it.
        root: what is put before the paths of a list or table; None: the folder that it lies in.
        image_column: of a table, the paths; None: ``ImageName``.
        label_columns: of a table, the labels; several make a vector; none: ``Label``.
        split_column: of a table, the names of splits; None: ``TrainTest``, if there is such a column.
        label_count: of a list, the fields of a line that are labels, from its end.
        labels: "auto": words and whole numbers are classes, others are values; "classes" or "values" say which.
        split: the split that all images belong to, if nothing else says it.
        test_share: the share of the images that is put into a split "test", 0 for none; of each class alike.
        shuffle: write in random order.
        seed: what the random order and choice depend on.
        mean: write ``mean.hdf5``, the mean of the split "train", for `DataTransformers.SubMean`.
        per_file: images in a file.
        damaged: "stop" at an image that cannot be read, or "skip" it and note it in ``skipped.txt``.
        workers: threads that decode; None: one for each processor.
        overwrite: replace what another conversion wrote to `out`.

    Returns:
        what was written.

    Raises:
        ConfigError: an argument that cannot be, or that this source does not take; or `out` has files of another
            conversion.
        FormatError: the source or an image cannot be read, or a label is wrong.
        ShapeError: images have different sizes, and no size was given.
        StateError: another process is converting to `out`.
        MochaError: Pillow is not installed.
    """
    if channel_order not in ("rgb", "bgr") or damaged not in ("stop", "skip"):
        raise ConfigError(
            f"channel_order is {channel_order!r} and damaged {damaged!r}; expected 'rgb' or 'bgr', 'stop' or 'skip'."
        )
    optional("PIL.Image", "reading images")
    target, threads = _checked_size(size, fit), checked_workers(workers)
    listing = _listed(Path(source), root, image_column, label_columns, split_column, label_count, labels)
    table, seed = listing.labels, checked_seed(seed)
    splits = arrange(
        len(listing.names),
        given=listing.splits,
        classes=table.values[:, 0] if table.classes else None,
        split=split,
        test_share=test_share,
        shuffle=shuffle,
        seed=seed,
    )
    reader = _Reader(listing, target, fit, color, channel_order == "bgr", damaged == "skip", threads)
    options = {
        "convert": "images", "size": reader.size, "fit": fit if target else None, "color": color,
        "order": channel_order, "classes": table.names,
    }  # fmt: skip
    job = Job(
        Path(out),
        cut(splits, per_file, lambda entries: digest_of(options, map(reader.describe, entries.tolist()))),
        (3 if color else 1, *reader.size),
        np.uint8,
        table.values.shape[1],
        origin=str(Path(source).resolve()),
        classes=table.names,
        mean=mean,
        overwrite=overwrite,
        keep_gaps=damaged == "skip",
        unit="images",
    )
    return dataclasses.replace(run(job, reader.blocks), passed_over=listing.passed_over)


def _checked_size(size: int | tuple[int, int] | None, fit: Fit) -> tuple[int, int] | None:
    if fit not in FITS:
        raise ConfigError(f"fit is {fit!r}; expected one of {', '.join(FITS)}.")
    if size is None:
        return None
    both = size if isinstance(size, tuple) else (size, size)
    if len(both) != 2 or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in both):
        raise ConfigError(f"size is {size!r}; expected (height, width), or one whole number above 0 for both.")
    return int(both[0]), int(both[1])


def _listed(
    source: Path,
    root: str | os.PathLike[str] | None,
    image_column: str | None,
    label_columns: Sequence[str],
    split_column: str | None,
    label_count: int,
    labels: LabelKind,
) -> sources.Listing:
    base = None if root is None else Path(root)
    folder, table = source.is_dir(), source.suffix.lower() in _TABLES
    columns = image_column is not None or bool(label_columns) or split_column is not None
    for given, fits, name in (
        (root is not None, not folder, "root"),
        (columns, table and not folder, "a column"),
        (label_count != 1, not table and not folder, "label_count"),
        (labels != "auto", not folder, "labels"),
    ):
        if given and not fits:
            what = "a folder of classes" if folder else "a table" if table else "an image list"
            raise ConfigError(f"{source} is {what}, for which {name} means nothing. Leave it out.")
    if folder:
        return sources.from_folder(source)
    if not source.is_file():
        raise FormatError(
            f"{source}: there is no such file or folder (working directory {Path.cwd()}). Expected a folder of "
            "classes, an image list, or a CSV file."
        )
    if table:
        return sources.from_table(source, base, labels, image_column, label_columns, split_column)
    return sources.from_list(source, base, labels, label_count)


class _Reader:
    """Reads the images of a listing, alike.

    Args:
        listing: the images.
        target: the size to bring them to; None: they have one size.
        fit: how.
        color: three channels.
        bgr: blue first.
        skip: leave out what cannot be read.
        workers: threads.

    Attributes:
        size: height and width of what is read.

    Raises:
        FormatError: files are missing, and are not to be skipped; or no image at all can be read.
    """

    def __init__(
        self,
        listing: sources.Listing,
        target: tuple[int, int] | None,
        fit: Fit,
        color: bool,
        bgr: bool,
        skip: bool,
        workers: int,
    ) -> None:
        self._listing, self._target, self._fit, self._color, self._bgr = listing, target, fit, color, bgr
        self._skip, self._workers = skip, workers
        self._about = np.array([_about(self._path(index)) for index in range(len(listing.names))], np.int64)
        missing = np.flatnonzero(self._about[:, 0] == _MISSING)
        if missing.size and not skip:
            more = f" (and {missing.size - 1} more)" if missing.size > 1 else ""
            raise FormatError(
                f"{self._path(int(missing[0]))}{more}: there is no such file. Check the paths and the folder that they "
                "are seen from, or have such images skipped: --damaged skip, or damaged='skip'."
            )
        self._first = 0
        self.size = target or self._common_size()

    def _path(self, index: int) -> str:
        return os.path.join(self._listing.root, self._listing.names[index])

    def _common_size(self) -> tuple[int, int]:
        for index in range(len(self._listing.names)):
            image = self._read(index)
            if not isinstance(image, str):
                self._first = index
                return image.shape[0], image.shape[1]
        raise FormatError(f"none of {len(self._listing.names)} images can be read, as {self._path(0)}.")

    def describe(self, index: int) -> list[object]:
        """An entry, for the digest of its file: name, size, time, label."""
        return [self._listing.names[index], *self._about[index].tolist(), self._listing.labels.values[index].tolist()]

    def blocks(self, piece: Piece) -> Iterator[Block]:
        """The images of a file to be."""
        images: list[Pixels] = []
        labels: list[npt.NDArray[np.float64]] = []
        skipped: list[tuple[str, str]] = []
        entries: Indices = piece.entries
        for index, image in zip(entries.tolist(), mapped(self._sample, entries.tolist(), self._workers), strict=True):
            if isinstance(image, str):
                skipped.append((self._listing.names[index], image))
            else:
                images.append(image)
                labels.append(self._listing.labels.values[index])
            if len(images) + len(skipped) >= _AT_ONCE:
                yield self._block(images, labels, skipped)
                images, labels, skipped = [], [], []
        yield self._block(images, labels, skipped)

    def _block(
        self, images: list[Pixels], labels: list[npt.NDArray[np.float64]], skipped: list[tuple[str, str]]
    ) -> Block:
        if not images:
            return Block(np.empty(0, np.uint8), np.empty(0, np.float32), tuple(skipped))
        return Block(np.stack(images), np.stack(labels).astype(np.float32), tuple(skipped))

    def _sample(self, index: int) -> Pixels | str:
        """An image, (C, H, W); or why there is none."""
        image = self._read(index)
        if isinstance(image, str):
            return image
        if image.shape[:2] != self.size:
            shapes = [f"{height}x{width}" for height, width in (self.size, image.shape[:2])]
            raise ShapeError(
                f"the images have different sizes: {self._path(self._first)} is {shapes[0]} (height x width), "
                f"{self._path(index)} is {shapes[1]}. Give a size for all: --size 227x227, or size=(227, 227)."
            )
        channels = image[:, :, ::-1] if self._bgr else image
        return np.ascontiguousarray(channels.transpose(2, 0, 1))

    def _read(self, index: int) -> Pixels | str:
        path = self._path(index)
        if self._about[index, 0] == _MISSING:
            return "there is no such file"
        try:
            image = read_image(path, color=self._color)
            return image if self._target is None else fit_image(image, self._target, self._fit)
        except (FormatError, ShapeError) as error:
            if self._skip:
                return str(error).removeprefix(f"{path}: ")
            raise FormatError(
                f"{error} Mend it, take it out, or have such images skipped: --damaged skip, or damaged='skip'."
            ) from error


def _about(path: str) -> tuple[int, int]:
    """Size and time of a file."""
    try:
        about = os.stat(path)
    except (OSError, ValueError):
        return _MISSING, 0
    return (about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else (_MISSING, 0)
