"""Which samples are for training and which for testing, and in which order they are written."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mocha.errors import ConfigError, FormatError
from mocha.random import permutation, stream_of

Indices = npt.NDArray[np.intp]

TRAIN, TEST = "train", "test"

SPLIT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""What a split may be called: it becomes part of file names."""


def split_name(text: str, where: str) -> str:
    """The name of a split, in lower case: it becomes part of file names.

    Raises:
        FormatError: it has other characters than letters, digits, hyphens and underscores.
    """
    name = text.strip().lower()
    if not SPLIT.fullmatch(name):
        raise FormatError(
            f"{where}: the split is {text!r}; expected a name as 'train' or 'test', of letters, digits, '-' and '_'."
        )
    return name


class SplitReader:
    """Takes the name of the split of one sample after the other."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._codes: list[int] = []

    def add(self, text: str, where: str) -> None:
        """Take the split of a sample.

        Raises:
            FormatError: see `split_name`.
        """
        code = self._texts.get(text)
        if code is None:
            code = self._texts[text] = self._known.setdefault(split_name(text, where), len(self._known))
        self._codes.append(code)

    def finish(self) -> dict[str, Indices]:
        """Split -> its samples; train and test come first."""
        codes = np.array(self._codes, np.intp)
        names = sorted(self._known, key=lambda name: ((TRAIN, TEST, name).index(name), name))
        return {name: np.flatnonzero(codes == self._known[name]) for name in names}


def share_out(share: float, classes: Sequence[int] | npt.NDArray[np.float64] | None, n: int, seed: int) -> Indices:
    """Choose samples at random: of each class as near to its share as whole numbers allow.

    Args:
        share: of all samples, 0 < share < 1.
        classes: (N,), the class of each; None: there are none.
        n: number of samples.
        seed: what the choice depends on.

    Returns:
        the chosen ones, ascending.

    Raises:
        ConfigError: none or all would be chosen.
    """
    total = math.floor(n * share + 0.5) if 0 < share < 1 else 0
    if not 0 < total < n:
        raise ConfigError(
            f"a share of {share:g} of {n} samples for testing; expected one between 0 and 1 that leaves samples on "
            "both sides."
        )
    order = permutation(seed, stream_of("convert", "share"), 0, n)
    if classes is None:
        return np.sort(order[:total])
    _, member, count = np.unique(np.asarray(classes), return_inverse=True, return_counts=True)
    wanted = count * (total / n)
    chosen = np.floor(wanted).astype(np.intp)
    # What rounding down left goes to the largest remainders; ties to the first.
    chosen[np.argsort(chosen - wanted, kind="stable")[: total - int(chosen.sum())]] += 1
    by_class = order[np.argsort(member[order], kind="stable")]
    start = np.cumsum(count) - count
    rank = np.arange(n) - np.repeat(start, count)
    return np.sort(by_class[rank < np.repeat(chosen, count)])


def arrange(
    n: int,
    *,
    given: dict[str, Indices] | None,
    classes: npt.NDArray[np.float64] | None,
    split: str,
    test_share: float,
    shuffle: bool,
    seed: int,
) -> dict[str, Indices]:
    """Which samples each split has, in the order in which they are written.

    Args:
        n: number of samples, > 0.
        given: the splits that the source names itself.
        classes: (N,), the class of each sample; None: there are none.
        split: what all samples are, if nothing splits them.
        test_share: share of all samples that is for testing, 0 for none.
        shuffle: whether the order is by chance.
        seed: what choice and order depend on.

    Raises:
        ConfigError: two ways to split are asked for at once, or the share cannot be.
    """
    own = split_name(split, "split")
    if test_share and (given is not None or own != TRAIN):
        what = "the source names its splits itself" if given is not None else f"all samples are to be {own!r}"
        raise ConfigError(f"test_share is {test_share:g}, but {what}. Give one of both.")
    if given is not None and own != TRAIN:
        raise ConfigError(f"split is {own!r}, but the source names its splits itself: {', '.join(given)}.")
    if test_share:
        test = share_out(test_share, classes, n, seed)
        given = {TRAIN: np.setdiff1d(np.arange(n), test, assume_unique=True), TEST: test}
    return in_order(given if given is not None else {own: np.arange(n)}, shuffle, seed)


def in_order(splits: dict[str, Indices], shuffle: bool, seed: int) -> dict[str, Indices]:
    """The samples of each split in the order in which they are written: by chance, or as they came."""
    if not shuffle:
        return splits
    return {
        name: members[permutation(seed, stream_of("convert", name), 0, len(members))]
        for name, members in splits.items()
    }
