"""Curves of statistics: which are meant, smoothed, and on which of two axes. What draws them is elsewhere."""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mocha.errors import ConfigError, did_you_mean

Numbers = Mapping[str, Mapping[int, float]]
"""Name of a statistic -> iteration -> number."""

Series = npt.NDArray[np.float64]

_FAR = 20.0
"""Statistics of one axis are at most so many times larger than each other."""

_LIMIT = 1e100
"""Numbers beyond it are gaps, as infinity is: what computes a picture's coordinates would overflow."""

_FIRST_SIGHT = ("obj_val", "loss")
_MOST = 4
"""How many curves are drawn of a file where nobody says which."""


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """A statistic of a training.

    Attributes:
        source: name of the training, as that of its file; may be "".
        key: name of the statistic.
        label: what legends call it.
        iterations: ascending.
        values: of the same length; NaN is a gap.
        means: the trailing means, or None.
    """

    source: str
    key: str
    label: str
    iterations: Series
    values: Series
    means: Series | None = None

    @property
    def shown(self) -> Series:
        """What the eye shall follow."""
        return self.values if self.means is None else self.means

    @property
    def is_share(self) -> bool:
        """Whether it is a share of something, such as an accuracy: from 0 to 1, and called so."""
        known = self.values[np.isfinite(self.values)]
        named = any(word in self.key.lower() for word in ("accuracy", "error", "acc", "top-"))
        return named and bool(known.size) and known.min() >= 0 and known.max() <= 1


def numbered(sources: Mapping[str, Numbers]) -> list[tuple[str, str]]:
    """All pairs (source, key) in the order in which listings number them, from 1."""
    return [(source, key) for source, numbers in sources.items() for key in sorted(numbers)]


def chosen(
    sources: Mapping[str, Numbers], keys: Sequence[str] = (), numbers: Sequence[int] = ()
) -> list[tuple[str, str]]:
    """The pairs (source, key) that are meant.

    Args:
        sources: name of a training -> its statistics.
        keys: names, or patterns with * and ?; each must be in one of the sources at least.
        numbers: of `numbered`.

    Returns:
        without keys and numbers the objective and the accuracies, or whatever there is.

    Raises:
        ConfigError: an unknown key or number.
    """
    known = numbered(sources)
    found: list[tuple[str, str]] = []
    for key in keys:
        matching = [pair for pair in known if pair[1] == key] or [
            pair for pair in known if fnmatch.fnmatchcase(pair[1], key)
        ]
        if not matching:
            raise ConfigError(f"there is no statistic {key!r}. {did_you_mean(key, {name for _, name in known})}")
        found += matching
    for number in numbers:
        if not 1 <= number <= len(known):
            raise ConfigError(f"there is no statistic number {number}; the list goes from 1 to {len(known)}.")
        found.append(known[number - 1])
    if not keys and not numbers:
        for source, statistics in sources.items():
            first = [key for key in _FIRST_SIGHT if key in statistics][:1]
            shares = [key for key in sorted(statistics) if "accuracy" in key.lower()]
            found += [(source, key) for key in [*first, *shares][:_MOST] or sorted(statistics)[:_MOST]]
    return list(dict.fromkeys(found))


def curves(
    sources: Mapping[str, Numbers],
    pairs: Sequence[tuple[str, str]],
    *,
    smooth: int = 1,
    x_range: tuple[float, float] | None = None,
) -> list[Curve]:
    """The curves of some statistics.

    Args:
        sources: name of a training -> its statistics.
        pairs: source and key of each.
        smooth: how many records a trailing mean is taken over, of the statistic with the closest ones; means of the
            others reach as many iterations back. 1 for none.
        x_range: the first and the last iteration to show.

    Raises:
        ConfigError: `smooth` is no whole number >= 1, or a range has no extent.
    """
    if isinstance(smooth, bool) or not isinstance(smooth, int) or smooth < 1:
        raise ConfigError(f"smooth is {smooth!r}; expected a number of records >= 1.")
    check_range("x_range", x_range)
    steps = [_step(sources[source][key]) for source, key in pairs]
    closest = min((step for step in steps if step), default=0.0)
    one_source, one_key = len({s for s, _ in pairs}) == 1, len({k for _, k in pairs}) == 1
    made = []
    for (source, key), step in zip(pairs, steps, strict=True):
        count = max(1, round(smooth * closest / step)) if step else 1
        numbers = sources[source][key]
        iterations = np.array(sorted(numbers), np.float64)
        values = np.array([numbers[i] for i in sorted(numbers)], np.float64)
        values[np.abs(values) > _LIMIT] = np.nan
        means = trailing_means(values, count) if count > 1 else None
        if x_range is not None:
            inside = (x_range[0] <= iterations) & (iterations <= x_range[1])
            iterations, values, means = iterations[inside], values[inside], None if means is None else means[inside]
        label = key if one_source else source if one_key else f"{source}: {key}"
        made.append(Curve(source, key, label, iterations, values, means))
    return made


def _step(numbers: Mapping[int, float]) -> float:
    """The usual distance of two records; 0 if there are no two."""
    iterations = sorted(numbers)
    return float(np.median(np.diff(np.array(iterations, np.float64)))) if len(iterations) > 1 else 0.0


def check_range(name: str, given: tuple[float, float] | None) -> None:
    """Refuse a range without extent.

    Raises:
        ConfigError: it is not two finite numbers, the second larger.
    """
    if given is None:
        return
    if len(given) != 2 or not all(math.isfinite(end) for end in given) or not given[0] < given[1]:
        raise ConfigError(f"{name} is {given!r}; expected two numbers, the second larger than the first.")


def trailing_means(values: Series, count: int) -> Series:
    """The mean of each number and those before it, `count` in all, or as many as there are. Gaps do not count."""
    if not values.size:
        return values
    count = min(count, values.size)
    padded = np.concatenate([np.full(count - 1, np.nan), values])
    windows = np.lib.stride_tricks.sliding_window_view(np.where(np.isfinite(padded), padded, np.nan), count)
    known = np.isfinite(windows)
    totals = np.where(known, windows, 0.0).sum(axis=1)
    means: Series = np.divide(totals, known.sum(axis=1), out=np.full(values.size, np.nan), where=known.any(axis=1))
    return means


def two_axes(made: Sequence[Curve]) -> tuple[list[Curve], list[Curve]]:
    """The curves of the left axis and those of the right one, which may be none.

    Shares, such as accuracies, stand apart from other numbers. Where there is only one kind, the curves part at the
    largest gap between their magnitudes, if it is a large one; the first curve's axis is the left one.
    """
    shares = [curve for curve in made if curve.is_share]
    others = [curve for curve in made if not curve.is_share]
    if shares and others:
        return others, shares
    sizes = {curve.key: 0.0 for curve in made}
    for curve in made:
        sizes[curve.key] = max(sizes[curve.key], _size(curve))
    ordered = sorted((size, key) for key, size in sizes.items() if size > 0)
    gaps = [(large / small, small) for (small, _), (large, _) in itertools.pairwise(ordered)]
    gap, border = max(gaps, default=(1.0, 0.0))
    if gap < _FAR:
        return list(made), []
    low = [curve for curve in made if sizes[curve.key] <= border]
    high = [curve for curve in made if sizes[curve.key] > border]
    return (low, high) if made[0] in low else (high, low)


def _size(curve: Curve) -> float:
    """How large its numbers usually are."""
    known = np.abs(curve.shown[np.isfinite(curve.shown)])
    return float(np.median(known)) if known.size else 0.0
