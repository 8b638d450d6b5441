"""MNIST: found, checked, downloaded, and converted to HDF5; and a small stand-in for it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mocha.data.converters.idx import read_idx
from mocha.data.converters.jobs import Block, Converted, Job, Piece, blocks_of, digest_of
from mocha.data.converters.pieces import run
from mocha.data.converters.places import cache_directory, download, places
from mocha.errors import FormatError, MochaError
from mocha.optional import optional
from mocha.random import DEFAULT_SEED, checked_seed, permutation, stream_of

Digits = dict[str, npt.NDArray[np.uint8]]
"""``train_images`` and ``test_images``, (N, 28, 28), and ``train_labels`` and ``test_labels``, (N,), 0 to 9."""

SPLITS = ("train", "test")

FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")

# SHA-256 of the four files as the mirrors have them, compressed.
_SHA256 = {
    "train_images": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train_labels": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "test_images": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "test_labels": "f7ae60f92e00ed6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def find_mnist(directory: Path | None = None) -> Path | None:
    """The first directory with the four files, compressed or not; None if there is none.

    Args:
        directory: looked into first, and ``mnist`` in it; then the same of ``$MOCHA_DATA``; then the user's cache
            directory, ``data/mnist`` in ``$MOCHA_SHARED``, and ``../shared/data/mnist``.
    """
    return next((place for place in places("mnist", directory) if all(_file_in(place, part) for part in FILES)), None)


def _file_in(directory: Path, part: str) -> Path | None:
    plain = directory / FILES[part]
    return next((path for path in (plain, plain.with_name(plain.name + ".gz")) if path.is_file()), None)


def load_mnist(directory: Path) -> Digits:
    """The images and labels in a directory.

    Raises:
        FormatError: a file is missing or damaged, or the images and the labels do not fit together.
    """
    digits: Digits = {}
    for part in FILES:
        path = _file_in(Path(directory), part)
        if path is None:
            raise FormatError(f"{directory}: {FILES[part]}(.gz) is not there. Expected MNIST's four original files.")
        digits[part] = read_idx(path)
    for split in SPLITS:
        images, labels = digits[f"{split}_images"], digits[f"{split}_labels"]
        if images.ndim != 3 or labels.shape != images.shape[:1] or len(images) == 0 or labels.max() > 9:
            raise FormatError(
                f"{directory}: the {split} images have shape {images.shape} and the labels {labels.shape}; expected "
                "(N, height, width) and (N,) with labels from 0 to 9. Get the files again."
            )
    return digits


def download_mnist(cache_dir: Path | None = None) -> Path:
    """Download what is missing of MNIST (11 MB) and check it.

    Args:
        cache_dir: where to; None means ``mocha/mnist`` in the user's cache directory.

    Returns:
        the directory.

    Raises:
        MochaError: no mirror can be reached or gives the right files, or pooch is not installed.
    """
    target = Path(cache_dir) if cache_dir is not None else cache_directory("mnist")
    mirrors, reasons = list(MIRRORS), []
    for part, name in FILES.items():
        while mirrors:
            reason = download(f"{mirrors[0]}{name}.gz", f"sha256:{_SHA256[part]}", target)
            if not reason:
                break
            reasons.append(reason)
            del mirrors[0]  # it would fail for the other files too
        else:
            raise MochaError(
                f"MNIST cannot be downloaded ({'; '.join(reasons)}). Put its four files ({', '.join(FILES.values())}, "
                f"compressed or not) into {target}, or set MOCHA_DATA to the directory that has them."
            )
    return target


def load_digits(seed: int = DEFAULT_SEED) -> Digits:
    """A stand-in for MNIST, of the same form: scikit-learn's 1797 digits of 8x8 pixels, enlarged to 28x28.

    Args:
        seed: which of them are for training: 80 in 100.

    Raises:
        MochaError: scikit-learn is not installed.
    """
    bunch = optional("sklearn.datasets", "the set of small digits").load_digits()
    small = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    images = np.pad(np.kron(small, np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))
    labels = bunch.target.astype(np.uint8)
    order = permutation(checked_seed(seed), stream_of("digits"), 0, len(labels))
    train, test = np.split(order, [len(order) * 4 // 5])
    return {
        "train_images": images[train],
        "train_labels": labels[train],
        "test_images": images[test],
        "test_labels": labels[test],
    }


def convert_mnist(
    directory: str | os.PathLike[str],
    out: str | os.PathLike[str],
    seed: int = DEFAULT_SEED,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Convert MNIST's original files: see `write_digits`.

    Raises:
        FormatError: a file of MNIST's is missing or damaged.
        ConfigError, StateError, MochaError: see `write_digits`.
    """
    return write_digits(load_mnist(Path(directory)), out, seed, overwrite=overwrite)


def write_digits(
    digits: Digits, out: str | os.PathLike[str], seed: int = DEFAULT_SEED, *, overwrite: bool = False
) -> list[Path]:
    """Write digits as Mocha's examples expect them.

    ``train.hdf5`` and ``test.hdf5`` have the datasets ``data``, (N, 1, 28, 28), the pixels divided by 256, and
    ``label``, (N, 1), both float32 and contiguous, in a random order. ``train-data-list.txt`` and
    ``test-data-list.txt`` name them. Finished files are kept.

    Args:
        digits: the images and labels.
        out: the directory, made if missing.
        seed: what the order depends on.
        overwrite: replace what another conversion wrote to `out`.

    Returns:
        the four files.

    Raises:
        ConfigError: `out` has files of another conversion.
        StateError: another process is converting to `out`.
        MochaError: a file cannot be written.
    """
    done = converted_digits(digits, Path(out), seed, overwrite=overwrite)
    return [path for split in SPLITS for path in (Path(out) / f"{split}.hdf5", done.lists[split])]


def converted_digits(digits: Digits, out: Path, seed: int, *, overwrite: bool) -> Converted:
    """Like `write_digits`, but it tells all of what was done."""
    seed, pieces = checked_seed(seed), []
    for split in SPLITS:
        parts = [digits[f"{split}_images"], digits[f"{split}_labels"]]
        about = [[list(part.shape), hashlib.sha256(np.ascontiguousarray(part).data).hexdigest()] for part in parts]
        order = permutation(seed, stream_of("mnist", split), 0, len(parts[1]))
        digest = digest_of({"convert": "mnist", "seed": seed, "split": split}, about)
        pieces.append(Piece(split, f"{split}.hdf5", order, digest))

    def blocks(piece: Piece) -> Iterator[Block]:
        images, labels = digits[f"{piece.split}_images"], digits[f"{piece.split}_labels"]
        for block in blocks_of(piece, images[:, None], labels):
            yield dataclasses.replace(block, data=block.data * np.float32(1 / 256))

    sample = (1, *digits["train_images"].shape[1:])
    job = Job(
        out,
        tuple(pieces),
        sample,
        np.float32,
        1,
        origin="mnist",
        form={"set": "mnist", "shape": list(sample)},
        overwrite=overwrite,
        unit="images",
    )
    return run(job, blocks)
