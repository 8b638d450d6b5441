from __future__ import annotations

import os
import threading
import warnings

import h5py
import numpy as np
import pytest

from mocha.data import Feed, HDF5Source
from mocha.errors import ConfigError, FormatError

SIZES = (7, 4, 9)
TOTAL = sum(SIZES)


def values(label):
    """The sample of a label: two numbers."""
    return np.stack([label * 10, label * 10 + 1], axis=-1)


def write_files(folder, kind="contiguous", dtype="f4", label_dtype="i8"):
    """Files with labels 0, 1, 2, ... and data that belong to them; kind says how they are stored."""
    paths, at = [], 0
    for number, size in enumerate(SIZES):
        path = folder / f"part{number}.h5"
        label = np.arange(at, at + size)
        options = {
            "contiguous": {},
            "chunked": {"chunks": (2, 2)},
            "gzip": {"chunks": (3, 2), "compression": "gzip", "shuffle": True},
        }[kind if kind != "mixed" else ("contiguous", "gzip")[number % 2]]
        with h5py.File(path, "w", userblock_size=512 if number == 1 else 0) as file:
            file.create_dataset("data", data=values(label).astype(dtype), **options)
            file.create_dataset("label", data=label.reshape(-1, 1).astype(label_dtype))
        paths.append(path)
        at += size
    return paths


def labels(source, start, stop):
    """The labels of some batches, after a check that the data belong to them."""
    out = []
    for number in range(start, stop):
        batch = source.batch(number)
        for top, array in batch.items():
            assert (array.shape, array.dtype) == (source.specs[top].shape, source.specs[top].dtype)
            assert array.flags.c_contiguous
            assert array.flags.writeable
        np.testing.assert_array_equal(batch["data"], values(batch["label"][:, 0]))
        out += batch["label"][:, 0].astype(int).tolist()
    return out


def make(paths, batch_size=5, **options):
    return HDF5Source(paths, ["data", "label"], batch_size, **options)


KINDS = ["contiguous", "chunked", "gzip", "mixed"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [1, 3, 5, 20, 47])
def test_unshuffled_batches_span_files_and_epochs(tmp_path, kind, batch_size):
    source = make(write_files(tmp_path, kind), batch_size)
    assert source.examples == TOTAL
    n = 3 * TOTAL // batch_size + 1
    assert labels(source, 0, n) == [k % TOTAL for k in range(n * batch_size)]
    assert [source.epoch(k) for k in range(n)] == [k * batch_size // TOTAL for k in range(n)]
    source.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk_size", [1, 3, 2**20])
def test_shuffled_epochs_are_permutations(tmp_path, kind, chunk_size):
    options = {"shuffle": True, "seed": 9, "name": "train", "chunk_size": chunk_size}
    source = make(write_files(tmp_path, kind), 5, **options)
    stream = labels(source, 0, 16)
    epochs = [tuple(stream[at : at + TOTAL]) for at in range(0, 4 * TOTAL, TOTAL)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(TOTAL))
    assert len(set(epochs)) == 4
    again = make([tmp_path / f"part{k}.h5" for k in range(3)], 5, **options)
    for number in (13, 2, 7, 0):  # each batch is a function of its number
        assert labels(again, number, number + 1) == stream[5 * number : 5 * number + 5]
    other = make([tmp_path / f"part{k}.h5" for k in range(3)], 5, **{**options, "seed": 10})
    assert labels(other, 0, 4) != stream[:TOTAL]


def test_the_batch_size_does_not_change_the_order(tmp_path):
    paths = write_files(tmp_path, "gzip")
    small, large = (make(paths, size, shuffle=True, chunk_size=2) for size in (2, 10))
    assert labels(small, 0, 20) == labels(large, 0, 4)


def test_shuffled_contiguous_files_are_mixed_over_their_whole_length(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"], file["label"] = values(np.arange(1000)), np.arange(1000.0).reshape(-1, 1)
    source = make(tmp_path / "x.h5", 10, shuffle=True, chunk_size=10)
    first = labels(source, 0, 1)
    assert max(first) - min(first) > 500


@pytest.mark.parametrize(
    ("dtype", "asked", "expected"),
    [
        ("f4", None, "f4"), ("f8", None, "f8"), ("f2", None, "f4"), (">f4", None, "f4"), (">f8", None, "f8"),
        ("u1", None, "f4"), ("i4", None, "f4"), (">i2", None, "f4"), ("f8", "float32", "f4"), ("u1", "f8", "f8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shuffle", [False, True])
def test_types(tmp_path, dtype, asked, expected, shuffle):
    source = make(write_files(tmp_path, dtype=dtype), shuffle=shuffle, dtype=asked)
    assert {spec.dtype for spec in source.specs.values()} == {np.dtype(expected)}
    assert sorted(labels(source, 0, 4)) == list(range(TOTAL))


def test_odd_storage_is_read_right_when_shuffled(tmp_path):
    twelve_bits = h5py.h5t.STD_I16LE.copy()
    twelve_bits.set_precision(12)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        label = file.create_dataset("label", data=np.arange(8) % 2 == 1)  # an enumeration in the file
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        data = h5py.h5d.create(file.id, b"data", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((8, 2)), compact)
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, np.repeat(np.arange(8, dtype="f4"), 2).reshape(8, 2))
        odd = h5py.h5d.create(file.id, b"odd", twelve_bits, h5py.h5s.create_simple((8,)))
        odd.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(-4, 4, dtype="i2"))
        file.create_dataset("unwritten", (8,), "f4")
        assert label.dtype == bool
    source = HDF5Source(tmp_path / "x.h5", ["data", "label", "odd", "unwritten"], 8, shuffle=True)
    batch = source.batch(0)
    which = batch["data"][:, 0]
    np.testing.assert_array_equal(batch["label"], which % 2)
    np.testing.assert_array_equal(batch["odd"], which - 4)
    np.testing.assert_array_equal(batch["unwritten"], 0 * which)


def test_list_files(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    write_files(tmp_path / "here")
    write_files(tmp_path / "there")
    listing = tmp_path / "there" / "list.txt"
    listing.write_text(f"\n  part2.h5  \n\n{tmp_path}/here/part0.h5\r\n   \n")
    monkeypatch.chdir(tmp_path)  # part2.h5 is found next to the list
    source = make(str(listing), 16)
    monkeypatch.chdir("/")
    assert labels(source, 0, 1) == [*range(11, 20), *range(7)]
    (tmp_path / "there" / "part2.h5").unlink()
    monkeypatch.chdir(tmp_path / "here")  # the working directory comes first
    assert labels(make(listing, 16), 0, 1) == [*range(11, 20), *range(7)]


def test_one_file_by_suffix_or_signature(tmp_path):
    path = write_files(tmp_path)[0]
    assert labels(make(path, 7), 0, 1) == list(range(7))
    renamed = path.rename(tmp_path / "data.bin")
    assert labels(make(str(renamed), 7), 0, 1) == list(range(7))


def test_more_files_than_may_be_open(tmp_path):
    paths = []
    for k in range(40):
        paths.append(tmp_path / f"{k}.h5")
        with h5py.File(paths[-1], "w") as file:
            file["data"], file["label"] = values(np.arange(k, k + 1)), np.full((1, 1), k)
    source = make(paths, 25)
    assert labels(source, 0, 4) == [k % 40 for k in range(100)]
    shuffled = make(paths, 40, shuffle=True)
    assert sorted(labels(shuffled, 1, 2)) == list(range(40))


def test_close_and_go_on(tmp_path):
    paths = write_files(tmp_path, "mixed")
    source = make(paths, shuffle=True)
    before = labels(source, 0, 3)
    source.close()
    source.close()
    for path in paths:
        with h5py.File(path, "r+"):  # nobody has it open
            pass
    assert labels(source, 0, 3) == before


def test_read_in_other_threads(tmp_path):
    source = make(write_files(tmp_path, "mixed"), 3, shuffle=True, chunk_size=2)
    expected = labels(make([tmp_path / f"part{k}.h5" for k in range(3)], 3, shuffle=True, chunk_size=2), 0, 40)
    got = [[], [], []]
    threads = [threading.Thread(target=lambda out=out: out.extend(labels(source, 0, 40))) for out in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [expected] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_read_on_both_sides_of_a_fork(tmp_path):
    feed = Feed(make(write_files(tmp_path, "mixed"), 3, shuffle=True, chunk_size=2))
    plain = make([tmp_path / f"part{k}.h5" for k in range(3)], 3, shuffle=True, chunk_size=2)
    feed.next()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks with threads
        child = os.fork()
    ok = all((feed.next()["label"] == plain.batch(n)["label"]).all() for n in range(1, 30))
    if child == 0:
        os._exit(0 if ok else 1)
    assert ok
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    feed.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_prefetching_changes_nothing(tmp_path, kind, shuffle):
    paths = write_files(tmp_path, kind)
    ahead, direct = (Feed(make(paths, 6, shuffle=shuffle, chunk_size=3), prefetch=n) for n in (3, 0))
    for to in (0, 11, 4):
        ahead.seek(to)
        direct.seek(to)
        for _ in range(9):
            one, two = ahead.next(), direct.next()
            for top in two:
                np.testing.assert_array_equal(one[top], two[top])
    ahead.close()
    direct.close()


# What is wrong with the files.


def _no_file(folder):
    return folder / "missing.h5"


def _no_list(folder):
    return folder / "missing.txt"


def _directory(folder):
    return folder


def _empty_list(folder):
    (folder / "list.txt").write_text(" \n\n")
    return folder / "list.txt"


def _binary_list(folder):
    (folder / "list.txt").write_bytes(b"\xff\xfe\x00binary")
    return folder / "list.txt"


def _list_of_nothing(folder):
    (folder / "list.txt").write_text("nothing.h5\n")
    return folder / "list.txt"


def _null_in_list(folder):
    (folder / "list.txt").write_bytes(b"a\0b\n")
    return folder / "list.txt"


def _no_hdf5(folder):
    (folder / "x.h5").write_text("not HDF5 at all")
    return folder / "x.h5"


def _truncated(folder):
    path = write_files(folder)[0]
    path.write_bytes(path.read_bytes()[:-20])
    return path


def _file(**datasets):
    def write(folder):
        with h5py.File(folder / "x.h5", "w") as file:
            for name, content in datasets.items():
                file[name] = content
        return folder / "x.h5"

    return write


def _other_shape(folder):
    paths = write_files(folder)
    with h5py.File(paths[1], "r+") as file:
        del file["data"]
        file["data"] = np.ones((4, 3))
    return paths


def _external_storage(folder):
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("data", (8,), "f4", external=[("/etc/hostname", 0, 32)])
        file["label"] = np.ones(8)
    return folder / "x.h5"


def _virtual(folder):
    write_files(folder)
    with h5py.File(folder / "x.h5", "w") as file:
        layout = h5py.VirtualLayout((7, 2), "f4")
        layout[:] = h5py.VirtualSource(folder / "part0.h5", "data", (7, 2))
        file.create_virtual_dataset("data", layout)
        file["label"] = np.ones(7)
    return folder / "x.h5"


LABEL = np.ones(3)

FAULTS = {
    "no file": (_no_file, ["missing.h5", "no such file"]),
    "no list": (_no_list, ["missing.txt", "does not exist", "text file"]),
    "directory": (_directory, ["is a directory"]),
    "empty list": (_empty_list, ["list.txt", "is empty"]),
    "empty sequence": (lambda folder: [], ["is empty"]),
    "binary list": (_binary_list, ["list.txt", "expected a text file"]),
    "list of nothing": (_list_of_nothing, ["list.txt", "'nothing.h5'", "working directory"]),
    "null in list": (_null_in_list, ["not a path"]),
    "no HDF5": (_no_hdf5, ["x.h5", "not HDF5"]),
    "truncated": (_truncated, ["part0.h5", "truncated"]),
    "no dataset": (_file(dta=LABEL, label=LABEL), ["x.h5", "'data'", "'dta', 'label'", "Did you mean 'dta'?"]),
    "no datasets": (_file(), ["no datasets"]),
    "scalar": (_file(data=1.0, label=LABEL), ["'data'", "one number", "(samples, ...)"]),
    "null": (_file(data=h5py.Empty("f4"), label=LABEL), ["'data'", "no data"]),
    "no samples": (_file(data=np.ones((0, 3)), label=np.ones(0)), ["'data'", "(0, 3)", "no samples"]),
    "unequal": (_file(data=np.ones((4, 2)), label=LABEL), ["'data': 4, 'label': 3"]),
    "strings": (_file(data=["a", "b", "c"], label=LABEL), ["'data'", "object"]),
    "compound": (_file(data=np.zeros(3, [("x", "f4")]), label=LABEL), ["'data'", "'x'"]),
    "complex": (_file(data=LABEL * 1j, label=LABEL), ["complex128"]),
    "group": (_file(**{"data/inner": LABEL, "label": LABEL}), ["is a group", "'inner'"]),
    "external link": (_file(data=h5py.ExternalLink("part0.h5", "data"), label=LABEL), ["'data'", "link"]),
    "soft link": (_file(data=h5py.SoftLink("/label"), label=LABEL), ["'data'", "link"]),
    "external storage": (_external_storage, ["data", "other files"]),
    "virtual": (_virtual, ["data", "other files"]),
    "other shape": (_other_shape, ["part1.h5", "(3,)", "part0.h5", "(2,)"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found_at_construction(tmp_path, fault):
    write, words = FAULTS[fault]
    with pytest.raises(FormatError) as caught:
        make(write(tmp_path), name="train-data")
    for word in ["layer 'train-data'", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"), ({"chunk_size": 0}, "chunk_size is 0"),
        ({"chunk_size": True}, "chunk_size is True"), ({"dtype": "f2"}, "dtype is float16"),
    ],
)  # fmt: skip
def test_arguments(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        make(write_files(tmp_path), **options)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_file_that_changes_meanwhile(tmp_path, shuffle):
    paths = write_files(tmp_path)
    source = make(paths, shuffle=shuffle)
    (tmp_path / "second").mkdir()
    os.replace(write_files(tmp_path / "second", dtype="f8")[0], paths[0])
    with pytest.raises(FormatError, match=r"part0\.h5.*changed"):
        labels(source, 0, 4)


@pytest.mark.parametrize("shuffle", [False, True])
def test_damage_in_compressed_data_is_a_format_error(tmp_path, shuffle):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        data = file.create_dataset(
            "data", data=np.arange(4000.0).reshape(2000, 2), chunks=(2000, 2), compression="gzip"
        )
        file["label"] = np.ones((2000, 1))
        place = data.id.get_chunk_info(0)
    raw = bytearray((tmp_path / "x.h5").read_bytes())
    raw[place.byte_offset + place.size // 2] ^= 0xFF
    source = make(tmp_path / "x.h5", shuffle=shuffle)
    (tmp_path / "x.h5").write_bytes(raw)
    with pytest.raises(FormatError, match=r"x\.h5.*damaged"):
        source.batch(0)
