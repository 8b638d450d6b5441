"""Images in files, to HDF5 files that data layers read."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from mocha.data.converters import sources
from mocha.data.converters.image_reader import ImageReader
from mocha.data.converters.jobs import PER_FILE, Converted, Job, cut, digest_of
from mocha.data.converters.labels import LabelKind
from mocha.data.converters.pieces import run
from mocha.data.converters.pool import checked_workers
from mocha.data.converters.splits import TRAIN, arrange
from mocha.data.images import FITS, ORDERS, ChannelOrder, Fit, Size, checked_size
from mocha.errors import ConfigError, FormatError
from mocha.optional import optional
from mocha.random import DEFAULT_SEED, checked_seed

Damaged = Literal["stop", "skip"]

_TABLES = (".csv", ".tsv")


def convert_images(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    size: Size | None = None,
    fit: Fit = "stretch",
    color: bool = True,
    channel_order: ChannelOrder = "rgb",
    root: str | os.PathLike[str] | None = None,
    image_column: str | int | None = None,
    label_columns: Sequence[str | int] = (),
    split_column: str | int | None = None,
    label_count: int = 1,
    labels: LabelKind = "auto",
    classes: Sequence[str] | None = None,
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
        image_column: of a table, the name or number of the column of paths; None: ``ImageName``, in any case.
        label_columns: of a table, names of columns, or numbers from 0, from the end if negative; several make a
            vector; none: ``Label``, in any case.
        split_column: of a table, the column with the names of splits; None: ``TrainTest``, in any case, if there.
        label_count: of a list, the fields of a line that are labels, from its end.
        labels: "auto": words and whole numbers are classes, others are values; "classes" or "values" say which.
        classes: the names of all classes, in the order of their numbers, as those of a training set for its validation
            set; None: those that are found, sorted.
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
    if channel_order not in ORDERS or damaged not in ("stop", "skip"):
        raise ConfigError(
            f"channel_order is {channel_order!r} and damaged {damaged!r}; expected 'rgb' or 'bgr', 'stop' or 'skip'."
        )
    optional("PIL.Image", "reading images")
    if fit not in FITS:
        raise ConfigError(f"fit is {fit!r}; expected one of {', '.join(FITS)}.")
    target, threads = None if size is None else checked_size(size), checked_workers(workers)
    if Path(source).is_dir() and Path(out).resolve().is_relative_to(Path(source).resolve()):
        raise ConfigError(f"{out} lies in {source}, where it would pass for a class. Choose a folder outside.")
    listing = _listed(Path(source), root, image_column, label_columns, split_column, label_count, labels, classes)
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
    reader = ImageReader(listing, target, fit, color, channel_order == "bgr", damaged == "skip", threads)
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
        form={"size": list(reader.size), "fit": fit if target else None, "color": color, "order": channel_order},
        classes=table.names,
        mean=mean,
        overwrite=overwrite,
        gaps=damaged == "skip",
        unit="images",
    )
    return dataclasses.replace(run(job, reader.blocks), passed_over=listing.passed_over)


def _listed(
    source: Path,
    root: str | os.PathLike[str] | None,
    image_column: str | int | None,
    label_columns: Sequence[str | int],
    split_column: str | int | None,
    label_count: int,
    labels: LabelKind,
    classes: Sequence[str] | None,
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
        return sources.from_folder(source, classes)
    if not source.is_file():
        raise FormatError(
            f"{source}: there is no such file or folder (working directory {Path.cwd()}). Expected a folder of "
            "classes, an image list, or a CSV file."
        )
    if table:
        return sources.from_table(source, base, labels, image_column, label_columns, split_column, classes)
    return sources.from_list(source, base, labels, label_count, classes)
