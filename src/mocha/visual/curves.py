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
        means: of the numbers around each one, or None.
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

    @property
    def kind(self) -> str:
        """What can be compared: losses and the objective with each other, another statistic with itself."""
        return "loss" if self.key == "obj_val" or "loss" in self.key.lower() else self.key


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
    log: bool = False,
    x_range: tuple[float, float] | None = None,
) -> list[Curve]:
    """The curves of some statistics.

    Args:
        sources: name of a training -> its statistics.
        pairs: source and key of each.
        smooth: how many records a mean is taken over, of the statistic with the closest ones; means of the others
            reach over as many iterations. 1 for none.
        log: take geometric means, for a logarithmic axis, of all but shares.
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
        label = key if one_source else source if one_key else f"{source}: {key}"
        curve = Curve(source, key, label, iterations, values)
        means = local_means(values, count, log=log and not curve.is_share) if count > 1 else None
        if x_range is not None:
            inside = (x_range[0] <= iterations) & (iterations <= x_range[1])
            iterations, values, means = iterations[inside], values[inside], None if means is None else means[inside]
        made.append(dataclasses.replace(curve, iterations=iterations, values=values, means=means))
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


def local_means(values: Series, count: int, *, log: bool = False) -> Series:
    """The mean of the `count` numbers around each one; a gap stays a gap, and does not count.

    At the beginning, where numbers change most, a mean reaches no further ahead than back, so that it does not run
    ahead of the curve; at the end it reaches back only.

    Args:
        values: (N,).
        count: how many, >= 1.
        log: take the geometric mean, of positive numbers; others are gaps.
    """
    known = np.isfinite(values) & (values > 0 if log else True)
    numbers = np.where(known, values, 1.0 if log else 0.0)
    terms = np.log(numbers) if log else numbers
    back, ahead = (count - 1) // 2, count // 2
    means = np.full(values.size, np.nan)
    if not values.size:
        return means
    window = np.ones(min(count, values.size + ahead))
    # behind `back` numbers all windows are whole, or end with the numbers
    totals, counts = (np.convolve(x, window)[ahead : ahead + values.size] for x in (terms, known.astype(np.float64)))
    for i in range(min(back, values.size)):
        near = slice(0, 2 * i + 1 + ahead - back)
        totals[i], counts[i] = terms[near].sum(), known[near].sum()
    np.divide(totals, counts, out=means, where=known)
    return np.exp(means) if log else means


def two_axes(made: Sequence[Curve]) -> tuple[list[Curve], list[Curve]]:
    """The curves of the left axis and those of the right one, which may be none.

    Shares, such as accuracies, stand apart from other numbers. Where there are only shares or only others, the curves
    part at the largest gap between the magnitudes of their kinds, if it is a large one; the first curve's axis is the
    left one.
    """
    shares = [curve for curve in made if curve.is_share]
    others = [curve for curve in made if not curve.is_share]
    if shares and others:
        return others, shares
    sizes = {curve.kind: 0.0 for curve in made}
    for curve in made:
        sizes[curve.kind] = max(sizes[curve.kind], _size(curve))
    ordered = sorted((size, kind) for kind, size in sizes.items() if size > 0)
    gaps = [(large / small, small) for (small, _), (large, _) in itertools.pairwise(ordered)]
    gap, border = max(gaps, default=(1.0, 0.0))
    if gap < _FAR:
        return list(made), []
    low = [curve for curve in made if sizes[curve.kind] <= border]
    high = [curve for curve in made if sizes[curve.kind] > border]
    return (low, high) if made[0] in low else (high, low)


def _size(curve: Curve) -> float:
    """How large its numbers usually are."""
    known = np.abs(curve.shown[np.isfinite(curve.shown)])
    return float(np.median(known)) if known.size else 0.0
