"""What lies in the folder of a conversion already, whose it is, and what must go."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mocha.data.converters.folder import (
    ABOUT,
    DIGEST,
    classes_file,
    classes_text,
    has_gaps,
    is_foreign_skipped,
    list_file,
    mean_digest,
    mean_file,
    skipped_file,
    text_attribute,
)
from mocha.data.converters.jobs import Job
from mocha.data.converters.splits import SPLIT, TRAIN
from mocha.errors import ConfigError


@dataclasses.dataclass(frozen=True, eq=False)
class _Made:
    """A file of a conversion, and what it says of it; "" or None where it does not."""

    path: Path
    digest: str
    split: str
    source: str
    job: str
    classes: str | None
    form: dict[str, Any]

    def why_stale(self, job: Job, replaced: set[str]) -> str:
        """Why it must not stay beside the files of a job: "classes", "form", or "other"; "" if it may.

        Args:
            job: the job, which does not write this file itself.
            replaced: digests of earlier jobs, of which the job replaces a part.
        """
        if self.split in job.splits or self.source == job.source or self.job in replaced:
            return "other"  # of a split that is written anew, or: its samples may be in another split now
        if None not in (self.classes, job.numbering) and self.classes != job.numbering:
            return "classes"
        return "" if _alike(self.form, job.form) else "form"


def _alike(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    if one.keys() != two.keys():
        return False
    return all(two[key] in (None, value) or value is None for key, value in one.items())


def _made(path: Path) -> _Made | None:
    digest, text = text_attribute(path, DIGEST), text_attribute(path, ABOUT)
    if digest is None or text is None:
        return None
    try:
        about = json.loads(text)
        split, source, job, form = str(about["split"]), str(about["source"]), str(about["job"]), dict(about["form"])
        classes = about["classes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not SPLIT.fullmatch(split):  # it becomes part of names
        return None
    return _Made(path, digest, split, source, job, None if classes is None else str(classes), form)


def make_room(job: Job, finished: set[str], kept: set[str]) -> list[Path]:
    """Refuse to touch the files of others, or clear away what must not stay beside the new ones.

    Args:
        job: the job.
        finished: names of the files that were made by it already.
        kept: those of them that are not made again.

    Returns:
        what was cleared away; some of it may be written again.

    Raises:
        ConfigError: there are such files, and they are not to be replaced.
    """
    planned = {piece.name: piece for piece in job.pieces}
    made = [one for path in sorted(job.out.glob("*.hdf5")) if (one := _made(path)) is not None]
    replaced = {
        one.job for one in made
        if (one.split in job.splits and one.path.name not in planned) or one.path.name in set(planned) - finished
    }  # fmt: skip
    beside = [one for one in made if one.path.name not in planned]
    stale = {one.path: why for one in beside if (why := one.why_stale(job, replaced))}
    others = [job.out / name for name in sorted(planned.keys() - finished) if (job.out / name).exists()]
    others += stale
    gone = {one.split for one in beside if one.path in stale}
    names = {*planned, *(one.path.name for one in made)}
    lists = [list_file(job.out, split) for split in sorted({*job.splits, *gone})]
    others += [path for path in lists if path.exists() and not _lines(path) <= names]
    skipped = job.gaps or any(has_gaps(one.path) for one in made if one.path not in stale)
    others += [skipped_file(job.out)] if skipped and is_foreign_skipped(job.out) else []
    others += _stale_mean(job, gone, bool(others))
    classes, clash = classes_file(job.out), False
    if classes.exists() and classes.read_bytes() != classes_text(job):
        needed = any(one.classes for one in beside if one.path not in stale)
        clash = job.classes is not None
        others += [classes] if clash or (others and not needed) else []
    if others and not job.overwrite:
        raise ConfigError(_refusal(job, others, stale, clash))
    removed = []
    mean = mean_file(job.out)
    if mean.exists() and (
        mean in others or (_train_made(job, kept) and text_attribute(mean, DIGEST) == mean_digest(job))
    ):
        removed.append(mean)  # that of this very job too: what can be read may have changed
    if others:
        # The planned files are replaced one by one; without a list nobody takes them for the new ones.
        removed += [*lists, *stale, *(path for path in others if path in (classes, skipped_file(job.out)))]
    removed = [path for path in removed if path.exists()]
    for path in removed:
        path.unlink()
    return removed


def _refusal(job: Job, others: list[Path], stale: Mapping[Path, str], clash: bool) -> str:
    whys = {stale.get(path, "other") for path in others if path.name not in ("classes.txt", "mean.hdf5")}
    if clash and whys <= {"classes"}:
        return (
            f"{classes_file(job.out)} lists other classes than these, {', '.join(job.classes or ())[:100]}. To number "
            "them as there, give it: --classes classes.txt, or classes=[...]. To have it replaced, and all that was "
            "numbered by it removed: --overwrite, or overwrite=True."
        )
    more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
    if whys == {"form"}:
        now = ", ".join(f"{key} {value}" for key, value in job.form.items() if value is not None)
        return (
            f"{others[0]}{more} was made with other options than these ({now}), and a net wants all splits alike. Give "
            "the same ones, choose another folder, or have it removed: --overwrite, or overwrite=True."
        )
    return (
        f"{others[0]}{more} is there already, made with other options, of other source files, or by something "
        "else. Choose another folder, or have it replaced or removed: --overwrite, or overwrite=True."
    )


def _train_made(job: Job, kept: set[str]) -> bool:
    return any(piece.split == TRAIN and piece.name not in kept for piece in job.pieces)


def _stale_mean(job: Job, gone: set[str], others: bool) -> list[Path]:
    """The mean, if it is of other samples than there will be."""
    mean = mean_file(job.out)
    if not mean.exists():
        return []
    digest = text_attribute(mean, DIGEST)
    if digest == mean_digest(job):
        return []
    of_train = TRAIN in job.splits and (digest is not None or others)
    return [mean] if job.mean or of_train or TRAIN in gone else []


def _lines(path: Path) -> set[str]:
    try:
        return set(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return {""}
