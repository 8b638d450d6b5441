"""Tables of numbers in text files, to HDF5 files that data layers read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mocha.data.converters.jobs import PER_FILE, Converted, Job, cut, digest_of
from mocha.data.converters.labels import LabelKind
from mocha.data.converters.pieces import run
from mocha.data.converters.rows import Table
from mocha.data.converters.splits import TRAIN, arrange
from mocha.data.images import checked_scale
from mocha.random import DEFAULT_SEED, checked_seed


def convert_csv(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    label_columns: Sequence[str | int] | None = None,
    split_column: str | int | None = None,
    shape: Sequence[int] | None = None,
    header: bool = True,
    delimiter: str = ",",
    scale: float = 1.0,
    labels: LabelKind = "auto",
    classes: Sequence[str] | None = None,
    split: str = TRAIN,
    test_share: float = 0.0,
    shuffle: bool = True,
    seed: int = DEFAULT_SEED,
    mean: bool = False,
    per_file: int = PER_FILE,
    overwrite: bool = False,
) -> Converted:
    """Convert a table of numbers, one sample a line, to HDF5 files.

    The table may be larger than the memory: what is kept of it is where its lines begin, their labels and splits. For
    each split, ``train-00000.hdf5`` and so on have the datasets ``data``, float32 of (N, ...), and ``label``, float32
    of (N, 1) or (N, k); ``train-data-list.txt`` names them. Interrupted, the same call goes on after the last
    finished file.

    Args:
        source: the text file, in UTF-8. Empty lines are passed over; fields may be quoted, but hold no line breaks.
        out: the folder to write to, made if missing.
        label_columns: names, or numbers from 0, from the end if negative; several make a vector; an empty list: there
            are no labels; None: the column called "label", in any case.
        split_column: a column with the names of splits.
        shape: of a sample, made of the columns that are left, in their order; None: one axis.
        header: whether the first line has the names of the columns.
        delimiter: one character between fields.
        scale: what the numbers of a sample are multiplied by.
        labels: "auto": words and whole numbers are classes, others are values; "classes" or "values" say which.
        classes: the names of all classes, in the order of their numbers, as those of a training set for its validation
            set; None: those that are found, sorted.
        split: the split that all samples belong to, if nothing else says it.
        test_share: the share of the samples that is put into a split "test", 0 for none; of each class alike.
        shuffle: write in random order.
        seed: what the random order and choice depend on.
        mean: write ``mean.hdf5``, the mean of the split "train", for `DataTransformers.SubMean`.
        per_file: samples in a file.
        overwrite: replace what another conversion wrote to `out`.

    Returns:
        what was written.

    Raises:
        ConfigError: an argument that cannot be, or a column that is not there; or `out` has files of another
            conversion.
        FormatError: the table is damaged, or a number or a label is wrong.
        StateError: another process is converting to `out`.
    """
    seed, factor = checked_seed(seed), checked_scale(scale)
    table = Table(Path(source), header, delimiter)
    table.choose(label_columns, split_column)
    sample = table.sample_shape(shape)
    names, splits = table.scan(labels, classes)
    arranged = arrange(
        table.rows,
        given=splits,
        classes=names.values[:, 0] if names.classes else None,
        split=split,
        test_share=test_share,
        shuffle=shuffle,
        seed=seed,
    )
    about = table.source.stat()
    options = {
        "convert": "csv", "file": [table.source.name, about.st_size, about.st_mtime_ns], "labels": table.label_places,
        "delimiter": delimiter, "split": table.split_place, "shape": sample, "scale": factor, "classes": names.names,
        "kind": labels,
    }  # fmt: skip
    job = Job(
        Path(out),
        cut(arranged, per_file, lambda rows: digest_of(options, table.places[rows].tolist())),
        sample,
        np.float32,
        len(table.label_places),
        origin=str(table.source.resolve()),
        form={"shape": list(sample), "scale": factor},
        classes=names.names,
        mean=mean,
        overwrite=overwrite,
    )
    return run(job, lambda piece: table.blocks(piece, names, sample, factor))
