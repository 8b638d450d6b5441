"""Writing many samples into HDF5 files of some thousands each: a job that may be interrupted and goes on where it was.

The unit is a finished file. It is written as a whole or not at all, and carries a digest of what it was made of: the
options, and the entries with their sizes and times. Run again, a job keeps the files with the right digests and makes
the rest. List files come last, so where there is one, all that it names is there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mocha.console import progress
from mocha.data.converters import folder
from mocha.data.converters.jobs import Block, Converted, Job, Piece
from mocha.data.converters.mean import MeanOfFiles, save_mean
from mocha.data.converters.room import make_room
from mocha.data.converters.splits import TRAIN
from mocha.errors import ConfigError, FormatError, MochaError
from mocha.interrupts import Interrupt, interrupts
from mocha.io.atomic import atomic_path
from mocha.io.hdf5 import create_file, open_hdf5, reading, writing

_COPIED_AT_ONCE = 256
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


_GOODBYE = "Interrupted: ending after these samples. Press Ctrl-C again to stop at once."


def run(job: Job, produce: Callable[[Piece], Iterator[Block]]) -> Converted:
    """Write all files of a job that are not there yet.

    Args:
        job: what to write.
        produce: makes the blocks of a piece: as many samples as it has entries, less those skipped.

    Raises:
        ConfigError: there are files of another job, and they are not to be replaced; or a mean of a split "train"
            that there is not.
        FormatError: no sample of a split can be read.
        StateError: another process writes to the folder.
        MochaError: a file cannot be written, or the source not be read any more.
    """
    if job.mean and TRAIN not in job.splits:
        raise ConfigError(f"the mean is that of the split 'train', but there are only: {', '.join(job.splits)}.")
    with folder.alone(job.out), interrupts(_GOODBYE) as interrupt:
        state = {piece.name: folder.finished(job.out / piece.name, piece.digest) for piece in job.pieces}
        finished = {name: counts for name, counts in state.items() if counts is not None}
        gaps_stay = job.gaps and not job.overwrite
        kept = {name: counts for name, counts in finished.items() if gaps_stay or counts[1] == 0}
        removed = make_room(job, set(finished), set(kept))
        if len(kept) < len(job.pieces):
            for split in job.splits:
                folder.list_file(job.out, split).unlink(missing_ok=True)
        counts = dict(kept)
        with progress("Converting", sum(len(piece.entries) for piece in job.pieces), job.unit) as show:
            before = 0
            for piece in job.pieces:
                if piece.name not in kept:
                    counts[piece.name] = _make(job, piece, _told(produce(piece), job, interrupt), show, before)
                before += len(piece.entries)
                show(before)
        with writing(job.out):
            done = _finish(job, counts, len(kept))
        return dataclasses.replace(done, removed=tuple(path.name for path in removed if not path.exists()))


def _told(blocks: Iterator[Block], job: Job, interrupt: Interrupt) -> Iterator[Block]:
    """The blocks, until Ctrl-C; what the system raises while they are read must not pass for trouble with the file."""
    try:
        for block in blocks:
            if interrupt.asked:
                raise KeyboardInterrupt
            yield block
    except OSError as error:
        raise MochaError(
            f"the {job.unit} cannot be read any more ({error}). Finished files are kept: the same command goes on."
        ) from error


def _make(job: Job, piece: Piece, blocks: Iterator[Block], show: Callable[[int], None], before: int) -> tuple[int, int]:
    skipped: list[tuple[str, str]] = []
    path = job.out / piece.name
    with writing(path), atomic_path(path, mark=folder.MARK) as temporary:
        count = len(piece.entries)
        with create_file(temporary) as file:
            done = 0
            targets = _datasets(file, job, count)
            for block in blocks:
                stop = done + len(block.data)
                if stop > done:
                    for target, values in zip(targets, (block.data, block.label), strict=False):
                        target[done:stop] = values
                done = stop
                skipped += block.skipped
                show(before + done + len(skipped))
            if done + len(skipped) != count:
                raise MochaError(
                    f"{piece.name}: {done} samples and {len(skipped)} skipped of {count}. Please report it."
                )
            folder.sign(file, job, piece, skipped)
        if done < count:
            # Data sets that lie in one stretch cannot shrink.
            with (
                atomic_path(temporary, mark=folder.MARK) as shorter,
                open_hdf5(temporary) as long,
                create_file(shorter) as file,
            ):
                for target in _datasets(file, job, done):
                    for start in range(0, done, _COPIED_AT_ONCE):
                        stop = min(start + _COPIED_AT_ONCE, done)
                        target[start:stop] = long[target.name][start:stop]
                folder.sign(file, job, piece, skipped)
    return done, len(skipped)


def _datasets(file: Any, job: Job, count: int) -> list[Any]:
    data = file.create_dataset("data", (count, *job.sample), job.dtype, fill_time="never")
    if job.labels == 0:
        return [data]
    return [data, file.create_dataset("label", (count, job.labels), np.float32, fill_time="never")]


# -- what comes last


def _finish(job: Job, counts: Mapping[str, tuple[int, int]], kept: int) -> Converted:
    samples = dict.fromkeys(job.splits, 0)
    full: dict[str, list[str]] = {split: [] for split in job.splits}
    for piece in job.pieces:
        rows = counts[piece.name][0]
        samples[piece.split] += rows
        if rows:  # a file without samples is refused by sources
            full[piece.split].append(piece.name)
    others = _write_skipped(job.out)
    for split, rows in samples.items():
        if rows == 0:
            total = sum(len(piece.entries) for piece in job.pieces if piece.split == split)
            raise FormatError(
                f"{job.out}: of {total} {job.unit} for {split!r} none can be read. See skipped.txt there for reasons."
            )
    if job.mean:
        others.insert(0, _write_mean(job, full[TRAIN]))
    if job.classes:
        with atomic_path(folder.classes_file(job.out), mark=folder.MARK) as temporary:
            temporary.write_bytes(folder.classes_text(job))
        others.insert(0, folder.classes_file(job.out))
    for split, names in full.items():
        with atomic_path(folder.list_file(job.out, split), mark=folder.MARK) as temporary:
            temporary.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return Converted(
        lists={split: folder.list_file(job.out, split) for split in job.splits},
        samples=samples,
        files={split: len(names) for split, names in full.items()},
        made=len(job.pieces) - kept,
        kept=kept,
        skipped=sum(skipped for _, skipped in counts.values()),
        others=tuple(others),
        classes=job.classes,
    )


def _write_skipped(out: Path) -> list[Path]:
    """``skipped.txt`` for all files in the folder, also those of another split that was converted before."""
    listing = folder.skipped_file(out)
    lines = []
    for path in sorted(out.glob("*.hdf5")):
        if folder.text_attribute(path, folder.DIGEST) is not None:
            with open_hdf5(path) as file, reading(path):
                lines += [f"{_in_line(entry)}\t{_in_line(reason)}\n" for entry, reason in folder.skipped_in(file)]
    if not lines:
        if listing.is_file() and not folder.is_foreign_skipped(out):  # of an earlier run
            listing.unlink()
        return []
    with atomic_path(listing, mark=folder.MARK) as temporary:
        temporary.write_text(folder.SKIPPED_HEAD + "".join(lines), encoding="utf-8", errors="surrogateescape")
    return [listing]


def _in_line(text: str) -> str:
    """A text without what would break lines or columns: such characters are written as Python does."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _write_mean(job: Job, names: list[str]) -> Path:
    path = folder.mean_file(job.out)
    if folder.text_attribute(path, folder.DIGEST) != folder.mean_digest(job):
        total = MeanOfFiles()
        for name in names:
            total.add(job.out / name)
        save_mean(total.mean(), path, **{folder.DIGEST: np.bytes_(folder.mean_digest(job))})
    return path
