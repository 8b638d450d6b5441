"""Reading HDF5 files that may be damaged or hostile, and Mocha's model files.

A model file holds one dataset a parameter, named ``<layer>___<param>`` (three underscores). A layer name with a slash
in it makes the dataset lie in a group, as HDF5 reads names as paths. A name that cannot be a path (see `write_model`)
is percent-encoded, and its dataset carries the attribute ``percent-encoded`` = 1.

Only what lies in the file itself is read. Soft and external links, virtual datasets and external storage lead
elsewhere, so a file from a stranger could make us read any file of the machine: they are refused.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from mocha.errors import ConfigError, FormatError, MochaError, did_you_mean
from mocha.io.atomic import atomic_path
from mocha.ops import Array

SEPARATOR = "___"
"""Between the layer and the parameter in the name of a dataset."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""How an HDF5 file starts, unless it has a user block."""

MAX_RANK = 8
_MAX_OBJECTS = 100_000
_MAX_DEPTH = 64
# Deflate, the usual filter, cannot do better than about 1 : 1032.
_MAX_COMPRESSION = 1100
_SMALL = 64 << 20
_ENCODED = "percent-encoded"
_DAMAGE = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError, AttributeError)


def load_h5py() -> Any:
    """The module h5py, imported at the first need: it takes longer to import than all of Mocha."""
    import h5py

    return h5py


@contextlib.contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns whatever the HDF5 library raises within the block into a `FormatError` that names the file."""
    try:
        yield
    except MochaError:
        raise
    except _DAMAGE as error:
        reason = f"{type(error).__name__}: {error}"
        raise FormatError(f"{path}: the file is damaged ({reason}). Copy or make it again.") from error


_REASON = re.compile(r"error message = '([^']+)'")
"""How the HDF5 library tells what the system said."""


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what the system or the HDF5 library raises while a file is written into an error that names the file.

    Raises:
        MochaError: the file cannot be written, as on a full disk.
    """
    try:
        yield
    except MochaError:
        raise
    except (OSError, RuntimeError) as error:
        told = _REASON.search(str(error))
        reason = told[1] if told else getattr(error, "strerror", None) or str(error)
        raise MochaError(f"{path}: the file cannot be written ({reason}). Is there room, and may you write?") from error


@contextlib.contextmanager
def open_hdf5(path: str | os.PathLike[str], **options: Any) -> Iterator[Any]:
    """An HDF5 file, open for reading.

    Args:
        path: the file.
        options: passed on to `h5py.File`.

    Raises:
        FormatError: the file is missing, unreadable, truncated, or not HDF5.
    """
    file = open_file(path, **options)
    try:
        yield file
    finally:
        file.close()


def open_file(path: str | os.PathLike[str], **options: Any) -> Any:
    """Like `open_hdf5`, but the caller closes the file."""
    place = Path(path)
    if not place.exists():
        raise FormatError(f"{place}: there is no such file (working directory {Path.cwd()}). Check the path.")
    if not place.is_file():
        raise FormatError(f"{place}: expected an HDF5 file, found a directory or a device. Give the path of a file.")
    h5py = load_h5py()
    try:
        return h5py.File(place, "r", **options)
    except PermissionError as error:
        raise FormatError(f"{place}: the file may not be read ({error}). Check its permissions.") from error
    except _DAMAGE as error:
        raise FormatError(f"{place}: {_why_not_open(place, error)}") from error


def create_file(path: str | os.PathLike[str]) -> Any:
    """A new HDF5 file to write to. It is in the format of HDF5 1.8, the first with checksums in the headers."""
    h5py = load_h5py()
    if _UNBUFFERED not in h5py.registered_drivers():
        h5py.register_driver(_UNBUFFERED, _set_unbuffered)
    return h5py.File(path, "w", driver=_UNBUFFERED, libver=("v108", "v108"))


_UNBUFFERED = "mocha-unbuffered"


def _set_unbuffered(plist: Any) -> None:
    """The usual driver, without the buffer for small writes: on a full disk its end crashes the HDF5 library."""
    plist.set_fapl_sec2()
    plist.set_sieve_buf_size(0)


def _why_not_open(place: Path, error: Exception) -> str:
    size = place.stat().st_size
    if size == 0:
        return "expected an HDF5 file, found an empty one. Make it again."
    if "unable to lock file" in str(error):
        return "the file is open for writing elsewhere. Close it there first."
    with place.open("rb") as raw:
        start = raw.read(len(SIGNATURE))
    if start != SIGNATURE:
        return f"expected an HDF5 file, found one of {size} bytes that starts with {start!r}. Check the path."
    return f"the HDF5 file is truncated or damaged; it has {size} bytes ({error}). Copy or make it again."


def datasets(group: Any, *, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, Any]]:
    """All datasets in a group and in the groups within, each with its path from there. Links are passed over.

    Args:
        group: an open h5py file or group.
        skip: paths of groups to pass over.

    Raises:
        FormatError: the groups are too many or too deep, as when one contains itself.
    """
    h5py = load_h5py()
    left = [("", group, 0)]
    seen = 0
    while left:
        prefix, here, depth = left.pop()
        for name in here:
            seen += 1
            if seen > _MAX_OBJECTS or depth > _MAX_DEPTH:
                raise FormatError(f"{group.file.filename}: its groups are too many or too deep. Is one within itself?")
            if not isinstance(here.get(name, getlink=True), h5py.HardLink):
                continue
            path, item = prefix + name, here[name]
            if isinstance(item, h5py.Dataset):
                yield path, item
            elif isinstance(item, h5py.Group) and path not in skip:
                left.append((path + "/", item, depth + 1))


def find_dataset(file: Any, path: str) -> Any:
    """The dataset at a path of an open file.

    Raises:
        FormatError: there is none, or the path leads through a link, or its data lie outside the file.
    """
    h5py = load_h5py()
    where = f"{file.filename}: dataset {path!r}"
    here = file
    for part in path.split("/"):
        link = here.get(part, getlink=True) if part and isinstance(here, h5py.Group) else None
        if link is None:
            names = [name for name, _ in datasets(file)]
            raise FormatError(f"{where} is not there. The file has {_listing(names)}. {did_you_mean(path, names)}")
        if not isinstance(link, h5py.HardLink):
            raise FormatError(
                f"{where} is a link to elsewhere, and links are not followed. Copy the data into this file."
            )
        here = here[part]
    if not isinstance(here, h5py.Dataset):
        raise FormatError(f"{where} is a group; expected a dataset. It has {_listing(n for n, _ in datasets(here))}.")
    check_inside(here)
    return here


def check_inside(dataset: Any) -> None:
    """A dataset must hold its own data.

    Raises:
        FormatError: it is virtual, or its storage is another file.
    """
    if dataset.is_virtual or dataset.external:
        raise FormatError(
            f"{dataset.file.filename}: the data of dataset {dataset.name!r} lie in other files, which are not "
            "followed. Copy the data into this file."
        )


def attribute(item: Any, name: str, kinds: str = "iuf") -> Any:
    """A number, or bytes for kind "S", that is an attribute of a file, group or dataset; None if there is none such.

    Strings of variable length are not looked at: they lie in a heap without a checksum, and the HDF5 library can hang
    when that is damaged.
    """
    if name not in item.attrs:
        return None
    about = item.attrs.get_id(name)
    return item.attrs[name] if about.shape == () and about.dtype.kind in kinds else None


def read_array(dataset: Any, *, kinds: str = "f") -> Array:
    """The values of a dataset, checked before memory is taken for them, in the machine's byte order.

    Args:
        dataset: an open h5py dataset.
        kinds: the kinds of element type that are accepted, as NumPy's letters.

    Raises:
        FormatError: another kind, too many axes, more data than the file can hold, or data outside the file.
    """
    check_readable(dataset, kinds=kinds)
    values = np.asarray(dataset[()])
    return np.ascontiguousarray(values, dataset.dtype.newbyteorder("=")).reshape(dataset.shape)


def check_readable(dataset: Any, *, kinds: str = "f") -> None:
    """A dataset must be one that may be read, as a whole or slice by slice.

    Args:
        dataset: an open h5py dataset.
        kinds: the kinds of element type that are accepted, as NumPy's letters.

    Raises:
        FormatError: another kind, too many axes, more data than the file can hold, or data outside the file.
    """
    check_inside(dataset)
    where = f"{dataset.file.filename}: dataset {dataset.name!r}"
    dtype = dataset.dtype
    if dtype.kind not in kinds or dtype.itemsize > 8 or dtype.subdtype is not None:
        raise FormatError(f"{where} has elements of type {dtype}; expected {_KINDS.get(kinds, 'numbers')}.")
    if dataset.shape is None or len(dataset.shape) > MAX_RANK:
        raise FormatError(f"{where} has shape {dataset.shape}; expected one of at most {MAX_RANK} axes.")
    claimed, stored = dataset.size * dtype.itemsize, dataset.id.get_storage_size()
    if claimed > max(_SMALL, _MAX_COMPRESSION * stored):
        raise FormatError(f"{where} claims {claimed} bytes but stores {stored}: the file is damaged. Make it again.")


_KINDS = {"f": "floating-point numbers", "fiu": "floating-point or whole numbers"}


def read_model(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The parameters in a model file or a snapshot: ``<layer>___<param>`` to values, float16 to float64.

    Datasets of other names are passed over. The shapes are the file's: who asks compares them with its own.

    Raises:
        FormatError: the file cannot be read, or a parameter is not of floating-point numbers.
    """
    with open_hdf5(path) as file, reading(path):
        return read_parameters(file)


def read_parameters(file: Any) -> dict[str, Array]:
    """Like `read_model`, from an open file."""
    found = {}
    for name, dataset in datasets(file, skip=frozenset({"solver/state"})):
        if SEPARATOR in name.rpartition("/")[2]:
            found[unquote_name(name) if attribute(dataset, _ENCODED) == 1 else name] = read_array(dataset)
    return found


def write_model(file: Any, params: Mapping[str, Array]) -> None:
    """Write parameters as ``<layer>___<param>`` datasets.

    A name is percent-encoded where HDF5 would not give it back: empty or "." parts between slashes, the NUL
    character, a path through another parameter or into ``solver/state`` (where snapshots keep other arrays).

    Args:
        file: an open h5py file or group, or a path; a file at that path is replaced as a whole.
        params: ``<layer>___<param>`` to values of floating-point numbers.

    Raises:
        ConfigError: a key without its three underscores, or values that are not floating-point numbers.
        MochaError: the file cannot be written.
    """
    if isinstance(file, (str, os.PathLike)):
        with writing(file), atomic_path(file) as temporary, create_file(temporary) as opened:
            write_model(opened, params)
        return
    for key, values in params.items():
        array = np.asarray(values)
        if SEPARATOR not in key.rpartition("/")[2]:
            raise ConfigError(f"parameter {key!r}: expected a name of the form <layer>{SEPARATOR}<param>.")
        if array.dtype.kind != "f" or array.dtype.itemsize > 8:
            raise ConfigError(f"parameter {key!r} has elements of type {array.dtype}; expected float32 or float64.")
        if _is_path(key, params):
            file.create_dataset(key, data=array)
        else:
            file.create_dataset(quote_name(key), data=array).attrs[_ENCODED] = 1


def _is_path(key: str, keys: Mapping[str, Array]) -> bool:
    parts = key.split("/")
    if any(part in ("", ".") for part in parts) or "\0" in key or key.startswith("solver/state/"):
        return False
    if any("/".join(parts[:n]) in keys for n in range(1, len(parts))):
        return False
    try:
        key.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def quote_name(name: str) -> str:
    """Any name as one that HDF5 takes as it is: percent-encoded UTF-8 without slashes and dots; "" is "%"."""
    return quote(name, safe="", errors="surrogatepass").replace(".", "%2E") or "%"


def unquote_name(name: str) -> str:
    """The name that `quote_name` encoded."""
    return "" if name == "%" else unquote(name, errors="surrogatepass")


def _listing(names: Any) -> str:
    known = sorted(names)
    told = ", ".join(map(repr, known[:20])) + (", ..." if len(known) > 20 else "")
    return f"the datasets {told}" if told else "no datasets"
