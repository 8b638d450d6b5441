"""Plain-text tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mocha.console import visible

_LONGEST = 1000
"""Letters in a cell."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns as wide as their widest cell, two spaces apart, a rule below the head.

    Cells may be names out of files: what would steer a terminal is replaced.

    Args:
        head: column titles.
        rows: cells.
        right: numbers of the columns that are set flush right.
    """
    cells = [[visible(cell, _LONGEST) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for row in cells:
        set_row = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        lines.append("  ".join(set_row).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def amount(number: float, unit: str = "") -> str:
    """A number with a decimal prefix: 1234567 -> '1.23 M'."""
    for prefix in ("", "k", "M", "G", "T"):
        if abs(number) < 1000 or prefix == "T":
            text = f"{number:.0f}" if prefix == "" else f"{number:.3g}"
            return f"{text} {prefix}{unit}".rstrip()
        number /= 1000
    raise AssertionError


def memory(count: int) -> str:
    """Bytes with a binary prefix: 4096 -> '4.0 KiB'."""
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError


def shape_text(shape: Sequence[int]) -> str:
    """(64, 1, 28, 28) -> '64x1x28x28'; a scalar is '1'."""
    return "x".join(map(str, shape)) or "1"
