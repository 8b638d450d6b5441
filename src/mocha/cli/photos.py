"""Options about images that several commands have, and alike."""

from __future__ import annotations

import re

import click

from mocha.data.images import FITS, LONGEST, ORDERS, Size, checked_size
from mocha.errors import ConfigError


def size_of(context: click.Context, option: click.Parameter, value: str | None) -> Size | None:
    """A size as an option takes it: 227, or 240x320, height and width."""
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})(?:[xX]([0-9]{1,6}))?", value)
    size = None if match is None else int(match[1]) if match[2] is None else (int(match[1]), int(match[2]))
    try:
        checked_size(size)
    except ConfigError:
        raise click.BadParameter(
            f"{value!r} is no size; expected height x width in pixels, as 240x320, or one number for both, from 1 to "
            f"{LONGEST}, and not too many in all."
        ) from None
    return size


COLOUR = "--color/--grey", "--colour/--gray"
"""The two names, of two spellings each, of one option."""

FIT = click.Choice(FITS)

CHANNEL_ORDER = click.Choice(ORDERS)
