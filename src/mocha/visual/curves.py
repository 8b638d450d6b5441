"""Curves of statistics: which are meant, smoothed, and on which of two axes. What draws them is elsewhere."""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import math
import re
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

_MOST_CURVES = 24
"""More than so many nobody tells apart in one picture."""

_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}
"""Words of names that only say which data a statistic is about."""

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
        is_share: whether it is a share of something, such as an accuracy, as are all statistics of that name.
        right: whether it belongs to the right axis.
        means: of the numbers around each one, or None.
        last: the last number as it was recorded, which a gap may stand for.
    """

    source: str
    key: str
    label: str
    iterations: Series
    values: Series
    is_share: bool = False
    right: bool = False
    means: Series | None = None
    last: float = math.nan

    @property
    def shown(self) -> Series:
        """What the eye shall follow."""
        return self.values if self.means is None else self.means

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

    Which axis a curve belongs to is decided by all of the numbers, before means are taken and a range is cut out.

    Args:
        sources: name of a training -> its statistics.
        pairs: source and key of each.
        smooth: how many records a mean is taken over, of the statistic with the closest ones; means of the others
            reach over as many iterations. 1 for none.
        log: take geometric means of the curves of the left axis, which is to be a logarithmic one.
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
    shares = {key: _is_share(key, sources) for _, key in pairs}
    raw, recorded = [], []
    for source, key in pairs:
        numbers = sources[source][key]
        iterations = np.array(sorted(numbers), np.float64)
        values = np.array([numbers[i] for i in sorted(numbers)], np.float64)
        label = key if one_source else source if one_key else f"{source}: {key}"
        raw.append(Curve(source, key, label, iterations, _gapped(values), shares[key]))
        recorded.append(values)
    on_the_right = _right_kinds(raw)
    made = []
    for curve, step, before in zip(raw, steps, recorded, strict=True):
        right = (curve.is_share, curve.kind) in on_the_right
        count = max(1, round(smooth * closest / step)) if step else 1
        means = local_means(curve.values, count, log=log and not right) if count > 1 else None
        inside = np.full(curve.values.size, True)
        if x_range is not None:
            inside = (x_range[0] <= curve.iterations) & (curve.iterations <= x_range[1])
        made.append(
            dataclasses.replace(
                curve,
                iterations=curve.iterations[inside],
                values=curve.values[inside],
                right=right,
                means=None if means is None else means[inside],
                last=float(before[inside][-1]) if inside.any() else math.nan,
            )
        )
    return made


def _gapped(values: Series) -> Series:
    """With gaps in the place of numbers that cannot be drawn."""
    return np.where(np.abs(values) <= _LIMIT, values, np.nan)


def _is_share(key: str, sources: Mapping[str, Numbers]) -> bool:
    """Whether a statistic is a share of something, such as an accuracy: called so, and from 0 to 1 wherever it is.

    An error is one where it is that of an accuracy, as `AccuracyLayer` reports both, or where nothing else is said of
    it than which data it is about: a ``reconstruction-error`` may be anything.
    """
    words = re.findall("[a-z]+|[0-9]+", key.lower())
    beside = key.removesuffix("error") + "accuracy" if key.endswith("error") else ""
    named = (
        not {"accuracy", "accuracies", "acc"}.isdisjoint(words)
        or any(a == "top" and b.isdecimal() for a, b in itertools.pairwise(words))
        or any((a, b) == ("error", "rate") for a, b in itertools.pairwise(words))
        or [word for word in words if word not in _SPLITS] == ["error"]
        or (bool(beside) and any(beside in numbers for numbers in sources.values()))
    )
    numbers = [number for own in sources.values() for number in own.get(key, {}).values() if math.isfinite(number)]
    return named and bool(numbers) and min(numbers) >= 0 and max(numbers) <= 1


def _right_kinds(raw: Sequence[Curve]) -> set[tuple[bool, str]]:
    """Whether they are shares, and kind, of the curves of the right axis.

    Shares, such as accuracies, stand apart from other numbers. Where there are only shares or only others, the curves
    part at the largest gap between the magnitudes of their kinds, if it is a large one; the first curve's axis is the
    left one.
    """
    sizes = {(curve.is_share, curve.kind): 0.0 for curve in raw}
    if len({share for share, _ in sizes}) == 2:
        return {(share, kind) for share, kind in sizes if share}
    for curve in raw:
        what = curve.is_share, curve.kind
        sizes[what] = max(sizes[what], _size(curve))
    ordered = sorted(size for size in sizes.values() if size > 0)
    gap, border = max(((large / small, small) for small, large in itertools.pairwise(ordered)), default=(1.0, 0.0))
    if gap < _FAR:
        return set()
    first = sizes[raw[0].is_share, raw[0].kind] > border
    return {what for what, size in sizes.items() if (size > border) != first}


def _step(numbers: Mapping[int, float]) -> float:
    """The usual distance of two records; 0 if there are no two."""
    iterations = sorted(numbers)
    return float(np.median(np.diff(np.array(iterations, np.float64)))) if len(iterations) > 1 else 0.0


def check_range(name: str, given: tuple[float, float] | None) -> None:
    """Refuse a range without extent.

    Raises:
        ConfigError: it is not two numbers, the second larger, of which pictures can be made.
    """
    if given is None:
        return
    if len(given) != 2 or not all(abs(end) <= _LIMIT for end in given) or not given[0] < given[1]:
        raise ConfigError(
            f"{name} is {given!r}; expected two numbers, none beyond {_LIMIT:g}, the second larger than the first."
        )
    if given[1] - given[0] <= max(1e-12 * max(map(abs, given)), 1 / _LIMIT):
        raise ConfigError(f"{name} is {given!r}; expected two numbers farther apart.")


def check_y_range(name: str, given: tuple[float, float] | None, *, log: bool) -> None:
    """Refuse ends of the left axis that cannot be.

    Raises:
        ConfigError: they are no range, or begin at 0 or below where the axis is logarithmic.
    """
    check_range(name, given)
    if log and given is not None and given[0] < 1 / _LIMIT:
        raise ConfigError(f"{name} is {given!r}; on a logarithmic axis it must begin above 0.")


def check_drawable(made: Sequence[Curve], *, log: bool = False, y_range: tuple[float, float] | None = None) -> None:
    """Refuse what makes no picture, wherever it is to be drawn.

    Args:
        made: the curves.
        log: the left axis is logarithmic.
        y_range: its ends.

    Raises:
        ConfigError: the range cannot be, there are no numbers, or there are too many curves.
    """
    check_y_range("y_range", y_range, log=log)
    if len(made) > _MOST_CURVES:
        raise ConfigError(
            f"these are {len(made)} curves; no more than {_MOST_CURVES} can be told apart in one picture. Choose some "
            "of them by keys (-k of the command, for instance -k obj_val)."
        )
    if not any(drawable(curve.values, log and not curve.right).any() for curve in made):
        raise ConfigError("there are no numbers to draw there; see which there are, or choose another range.")


def drawable(values: Series, log: bool) -> npt.NDArray[np.bool_]:
    """Which numbers have a place on an axis.

    Args:
        values: (N,).
        log: the axis is logarithmic.
    """
    return np.isfinite(values) & (values >= 1 / _LIMIT if log else True)


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
    """The curves of the left axis and those of the right one, which may be none."""
    return [curve for curve in made if not curve.right], [curve for curve in made if curve.right]


def _size(curve: Curve) -> float:
    """How large its numbers usually are."""
    known = np.abs(curve.values[np.isfinite(curve.values)])
    return float(np.median(known)) if known.size else 0.0
