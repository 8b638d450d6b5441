"""CIFAR-10: found, checked, downloaded, and converted to HDF5."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mocha.data.converters import folder
from mocha.data.converters.jobs import Block, Converted, Job, Piece, blocks_of, digest_of
from mocha.data.converters.pieces import run
from mocha.data.converters.places import cache_directory, download, places
from mocha.data.names import checked_names, names_in
from mocha.errors import FormatError, MochaError
from mocha.random import DEFAULT_SEED, checked_seed, permutation, stream_of

Pictures = dict[str, npt.NDArray[np.uint8]]
"""``train_images`` and ``test_images``, (N, 3, 32, 32), RGB, and ``train_labels`` and ``test_labels``, (N,), 0 to 9."""

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILES = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"

_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
_NAMES = "batches.meta.txt"
_FOLDER = "cifar-10-batches-bin"
_ARCHIVE = "cifar-10-binary"
_ENDINGS = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar")
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32
_LARGEST = 256 << 20  # bytes in a file, eight times what the original ones have
_LARGEST_NAMES = 4096
_LARGEST_ARCHIVE = 512 << 20  # unpacked

_BINARY = tuple(name for names in FILES.values() for name in names)
_FOREIGN = {
    name: f"this is {what} of CIFAR-10; expected the binary version, {_ARCHIVE}.tar.gz, from the same place."
    for name, what in (("data_batch_1", "the Python version"), ("data_batch_1.mat", "the MATLAB version"))
}
"""Files of other versions; those for Python are pickled, and a pickle from elsewhere may execute anything."""


def find_cifar10(directory: Path | None = None) -> Path | None:
    """The first folder with the six binary files, or the first archive of them; None if there is none.

    Args:
        directory: looked into first, and ``cifar10`` in it, or an archive itself; then the same of ``$MOCHA_DATA``;
            then the user's cache directory, ``data/cifar10`` in ``$MOCHA_SHARED``, and ``../shared/data/cifar10``.
    """
    return next(filter(None, map(_in_place, places("cifar10", directory))), None)


def _in_place(place: Path) -> Path | None:
    if place.is_file():
        return place
    for inner in (place, place / _FOLDER):
        if all((inner / name).is_file() for name in _BINARY):
            return inner
    return next((path for ending in _ENDINGS if (path := place / f"{_ARCHIVE}{ending}").is_file()), None)


def load_cifar10(source: Path) -> Pictures:
    """The images and labels in the six binary files.

    Args:
        source: the folder, or the archive; see `find_cifar10`.

    Raises:
        FormatError: a file is missing or damaged, or it is another version of CIFAR-10.
    """
    place = _checked_place(Path(source))
    return _pictures(_contents(place), place)


def download_cifar10(cache_dir: Path | None = None) -> Path:
    """Download CIFAR-10's archive (163 MB), unless it is there, and check it.

    Args:
        cache_dir: where to; None means ``mocha/cifar10`` in the user's cache directory.

    Returns:
        the archive.

    Raises:
        MochaError: it cannot be reached or is not the right file, or pooch is not installed.
    """
    target = Path(cache_dir) if cache_dir is not None else cache_directory("cifar10")
    name = f"{_ARCHIVE}.tar.gz"
    if reason := download(URL, f"md5:{_MD5}", target):
        raise MochaError(
            f"CIFAR-10 cannot be downloaded ({reason}). Put {name} into {target}, or set MOCHA_DATA to the directory "
            "that has it."
        )
    return target / name


def convert_cifar10(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    seed: int = DEFAULT_SEED,
    *,
    overwrite: bool = False,
) -> Converted:
    """Convert CIFAR-10's binary files.

    ``train.hdf5`` and ``test.hdf5`` have the datasets ``data``, uint8 of (N, 3, 32, 32), RGB, and ``label``, float32
    of (N, 1), in a random order. ``train-data-list.txt`` and ``test-data-list.txt`` name them, ``mean.hdf5`` is the
    mean of the training images, and ``classes.txt`` has the ten names. Finished files are kept.

    Args:
        source: the folder or the archive, see `find_cifar10`.
        out: the directory, made if missing.
        seed: what the order depends on.
        overwrite: replace what another conversion wrote to `out`.

    Returns:
        what was written.

    Raises:
        ConfigError: `out` has files of another conversion.
        FormatError: a file is missing or damaged, or it is another version of CIFAR-10.
        StateError: another process is converting to `out`.
    """
    place, target, seed = _checked_place(Path(source)), Path(out), checked_seed(seed)
    given = sorted(path for path in place.iterdir() if path.name in (*_BINARY, _NAMES)) if place.is_dir() else [place]
    about = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in given]
    digests = {split: digest_of({"convert": "cifar10", "seed": seed, "split": split}, about) for split in FILES}
    counts = {split: folder.finished(target / f"{split}.hdf5", digest) for split, digest in digests.items()}
    names = _names_of(folder.classes_file(target))
    ready = names is not None and None not in counts.values()  # then there is no need to unpack anything
    contents = {} if ready else _contents(place)
    pictures = {} if ready else _pictures(contents, place)
    pieces = []
    for split, digest in digests.items():
        found = counts[split]
        count = len(pictures[f"{split}_labels"]) if pictures else found[0] if found else 0
        order = permutation(seed, stream_of("cifar10", split), 0, count)
        pieces.append(Piece(split, f"{split}.hdf5", order, digest))

    def blocks(piece: Piece) -> Iterator[Block]:
        return blocks_of(piece, pictures[f"{piece.split}_images"], pictures[f"{piece.split}_labels"])

    job = Job(
        target,
        tuple(pieces),
        _SHAPE,
        np.uint8,
        1,
        origin="cifar10",
        form={"set": "cifar10"},
        classes=names if ready else _classes(contents, place),
        mean=True,
        overwrite=overwrite,
        unit="images",
    )
    return run(job, blocks)


def _checked_place(source: Path) -> Path:
    """The folder or archive itself, also where the folder that it lies in was given."""
    place = _in_place(source) or _in_place(source / "cifar10")
    if place is not None:
        return place
    for inner in (source, source / "cifar-10-batches-py", source / "cifar-10-batches-mat"):
        for name, message in _FOREIGN.items():
            if (inner / name).is_file():
                raise FormatError(f"{inner}: {message}")
    for path in (source / "cifar-10-python.tar.gz", source / "cifar-10-matlab.tar.gz"):
        if path.is_file():
            raise FormatError(f"{path}: {_FOREIGN['data_batch_1.mat' if 'matlab' in path.name else 'data_batch_1']}")
    raise FormatError(
        f"{source} does not hold CIFAR-10: expected its six binary files ({', '.join(_BINARY)}), or the archive "
        f"{_ARCHIVE}.tar.gz (or .tar.xz, .tar)."
    )


def _contents(place: Path) -> dict[str, bytes]:
    """The files that matter, from a folder or an archive."""
    if place.is_dir():
        return {name: _read(place / name) for name in (*_BINARY, _NAMES) if (place / name).is_file()}
    from mocha.data.converters.archives import read_members  # what unpacks takes a while to import

    largest = {**dict.fromkeys(_BINARY, _LARGEST), _NAMES: _LARGEST_NAMES}
    return read_members(place, largest, _FOREIGN, most=_LARGEST_ARCHIVE)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise FormatError(f"{path}: expected {_LARGEST} bytes at most. Get the file again.")
    return data


def _pictures(contents: dict[str, bytes], place: Path) -> Pictures:
    pictures: Pictures = {}
    for split, names in FILES.items():
        for name in names:
            found = len(contents.get(name, b""))
            if found == 0 or found % _RECORD:
                state = f"has {found} bytes" if name in contents else "is not there"
                raise FormatError(
                    f"{place}: {name} {state}; expected a whole number of records of {_RECORD} bytes. Get it again."
                )
        records = np.frombuffer(b"".join(contents[name] for name in names), np.uint8).reshape(-1, _RECORD)
        pictures[f"{split}_images"] = records[:, 1:].reshape(-1, *_SHAPE)
        pictures[f"{split}_labels"] = records[:, 0]
        if records[:, 0].max() > 9:
            wrong = int(np.argmax(records[:, 0] > 9))
            raise FormatError(
                f"{place}: record {wrong} for {split} has label {records[wrong, 0]}; expected 0 to 9. Get it again."
            )
    return pictures


def _classes(contents: dict[str, bytes], place: Path) -> tuple[str, ...]:
    raw = contents.get(_NAMES)
    if raw is None and place.is_file() and (beside := place.with_name(_NAMES)).is_file():
        raw = _read(beside)
    return CLASSES if raw is None else _parsed_names(raw) or CLASSES


def _names_of(path: Path) -> tuple[str, ...] | None:
    return _parsed_names(_read(path)) if path.is_file() else None


def _parsed_names(raw: bytes) -> tuple[str, ...] | None:
    """Ten names, one a line; None if there are not ten."""
    try:
        names = checked_names(names_in(raw, _NAMES))
    except FormatError:
        return None
    return names if len(names) == len(CLASSES) else None
