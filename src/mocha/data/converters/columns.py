"""The columns of a table, by their names or their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from mocha.errors import ConfigError, did_you_mean

_FEW = 30  # columns among which a wrong name is compared with the right ones


class Columns:
    """The columns of a table.

    Args:
        source: of the table, for messages.
        names: of the columns; none: they have no names.
        width: how many columns there are.
    """

    def __init__(self, source: object, names: Sequence[str], width: int) -> None:
        self._source, self._names, self._width = source, list(names), width

    def place(self, column: str | int) -> int:
        """The place of a column, from 0.

        Args:
            column: its name; or its number, from 0, or from the end if negative. A name comes before a number.

        Raises:
            ConfigError: there is none, or there are several of this name.
        """
        if isinstance(column, str) and self._names.count(column) > 1:
            raise ConfigError(
                f"{self._source}: {self._names.count(column)} columns are called {column!r}. Give the number, from 0."
            )
        if isinstance(column, str) and column in self._names:
            return self._names.index(column)
        try:
            place = int(column)
        except ValueError:
            raise ConfigError(f"{self._source}: there is no column {column!r}. {self._hint(str(column))}") from None
        if not -self._width <= place < self._width:
            raise ConfigError(f"{self._source}: there is no column {place}; there are {self._width}, counted from 0.")
        return place % self._width

    def default(self, name: str) -> int | None:
        """The place of the column that is read unless told, whatever its case; None: there is none.

        Raises:
            ConfigError: there are several.
        """
        found = [place for place, one in enumerate(self._names) if one.lower() == name.lower()]
        if len(found) > 1:
            raise ConfigError(
                f"{self._source}: {len(found)} columns are called {name!r}. Give the number of one, from 0."
            )
        return found[0] if found else None

    def _hint(self, name: str) -> str:
        if not self._names:
            return f"Without a header, give a number from 0 to {self._width - 1}."
        few = self._width <= _FEW
        return did_you_mean(name, self._names) if few else f"The first are {', '.join(self._names[:10])}."
