"""The images of a listing, read alike by several threads."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mocha.data.converters.jobs import Block, Piece
from mocha.data.converters.pool import mapped
from mocha.data.converters.sources import Listing
from mocha.data.converters.splits import Indices
from mocha.data.images import Fit, Pixels, fit_image, read_image, trouble
from mocha.errors import FormatError, MochaError, ShapeError

_AT_ONCE = 32
_MISSING = -1


class ImageReader:
    """Reads the images of a listing, alike.

    Args:
        listing: the images.
        target: the size to bring them to; None: they have one size.
        fit: how.
        color: three channels.
        bgr: blue first.
        skip: leave out what cannot be read.
        workers: threads.

    Attributes:
        size: height and width of what is read.

    Raises:
        FormatError: files are missing, and are not to be skipped; or no image at all can be read.
    """

    def __init__(
        self,
        listing: Listing,
        target: tuple[int, int] | None,
        fit: Fit,
        color: bool,
        bgr: bool,
        skip: bool,
        workers: int,
    ) -> None:
        self._listing, self._target, self._fit, self._color, self._bgr = listing, target, fit, color, bgr
        self._skip, self._workers = skip, workers
        self._about = np.array([_about(self._path(index)) for index in range(len(listing.names))], np.int64)
        missing = np.flatnonzero(self._about[:, 0] == _MISSING)
        if missing.size and not skip:
            more = f" (and {missing.size - 1} more)" if missing.size > 1 else ""
            raise FormatError(
                f"{self._path(int(missing[0]))}{more}: there is no such file. Check the paths and the folder that they "
                "are seen from, or have such images skipped: --damaged skip, or damaged='skip'."
            )
        self._first = 0
        self.size = target or self._common_size()

    def _path(self, index: int) -> str:
        return os.path.join(self._listing.root, self._listing.names[index])

    def _common_size(self) -> tuple[int, int]:
        for index in range(len(self._listing.names)):
            image = self._read(index)
            if not isinstance(image, str):
                self._first = index
                return image.shape[0], image.shape[1]
        raise FormatError(f"none of {len(self._listing.names)} images can be read, as {self._path(0)}.")

    def describe(self, index: int) -> list[object]:
        """An entry, for the digest of its file: name, size, time, label."""
        return [self._listing.names[index], *self._about[index].tolist(), self._listing.labels.values[index].tolist()]

    def blocks(self, piece: Piece) -> Iterator[Block]:
        """The images of a file to be."""
        images: list[Pixels] = []
        labels: list[npt.NDArray[np.float64]] = []
        skipped: list[tuple[str, str]] = []
        entries: Indices = piece.entries
        for index, image in zip(entries.tolist(), mapped(self._sample, entries.tolist(), self._workers), strict=True):
            if isinstance(image, str):
                skipped.append((self._listing.names[index], image))
            else:
                images.append(image)
                labels.append(self._listing.labels.values[index])
            if len(images) + len(skipped) >= _AT_ONCE:
                yield self._block(images, labels, skipped)
                images, labels, skipped = [], [], []
        yield self._block(images, labels, skipped)

    def _block(
        self, images: list[Pixels], labels: list[npt.NDArray[np.float64]], skipped: list[tuple[str, str]]
    ) -> Block:
        if not images:
            return Block(np.empty(0, np.uint8), np.empty(0, np.float32), tuple(skipped))
        return Block(np.stack(images), np.stack(labels).astype(np.float32), tuple(skipped))

    def _sample(self, index: int) -> Pixels | str:
        """An image, (C, H, W); or why there is none."""
        image = self._read(index)
        if isinstance(image, str):
            return image
        if image.shape[:2] != self.size:
            shapes = [f"{height}x{width}" for height, width in (self.size, image.shape[:2])]
            raise ShapeError(
                f"the images have different sizes: {self._path(self._first)} is {shapes[0]} (height x width), "
                f"{self._path(index)} is {shapes[1]}. Give a size for all: --size 227x227, or size=(227, 227)."
            )
        channels = image[:, :, ::-1] if self._bgr else image
        return np.ascontiguousarray(channels.transpose(2, 0, 1))

    def _read(self, index: int) -> Pixels | str:
        path = self._path(index)
        if self._about[index, 0] == _MISSING:
            return "there is no such file"
        try:
            image = read_image(path, color=self._color)
            return image if self._target is None else fit_image(image, self._target, self._fit)
        except (FormatError, ShapeError) as error:
            if self._skip:
                return str(error).removeprefix(f"{path}: ")
            raise FormatError(
                f"{error} Mend it, take it out, or have such images skipped: --damaged skip, or damaged='skip'."
            ) from error


def _about(path: str) -> tuple[int, int]:
    """Size and time of a file."""
    try:
        about = os.stat(path)
    except (OSError, ValueError) as error:
        if trouble(error):
            raise MochaError(f"{path}: cannot be looked at now ({error}). Try again.") from error
        return _MISSING, 0
    return (about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else (_MISSING, 0)
