"""Conversions into a folder in which files are already: what fits stays, nothing that would mislead does."""

from __future__ import annotations

import builtins
import errno
import os
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest

pytest.importorskip("PIL", reason="needs Pillow, of the extra [images]")

from tests.data.pictures import write_classes

from mocha.data import convert_csv, convert_images, write_mean
from mocha.errors import ConfigError, FormatError, MochaError


def names(out):
    return sorted(path.name for path in out.iterdir())


def test_the_other_split_of_a_replaced_conversion_goes(tmp_path):
    source, out = write_classes(tmp_path / "src", {"a": 10, "b": 10}), tmp_path / "out"
    convert_images(source, out, test_share=0.2, mean=True)
    moved = source.rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match="is there already"):
        convert_images(moved, out)
    done = convert_images(moved, out, overwrite=True)
    assert done.samples == {"train": 20}
    assert done.removed == ("mean.hdf5", "test-data-list.txt", "test-00000.hdf5")
    assert names(out) == ["classes.txt", "train-00000.hdf5", "train-data-list.txt"]


def test_splits_of_other_classes_go(tmp_path):
    out = tmp_path / "out"
    convert_images(write_classes(tmp_path / "src", {"a": 5, "b": 5}), out, test_share=0.2)
    other = write_classes(tmp_path / "kag", {"cat": 3, "dog": 3})
    with pytest.raises(ConfigError, match="is there already"):
        convert_images(other, out)
    convert_images(other, out, overwrite=True)
    assert names(out) == ["classes.txt", "train-00000.hdf5", "train-data-list.txt"]
    # a split of its own, by other classes: the names are told first
    with pytest.raises(ConfigError, match=r"classes\.txt lists other classes than these, a, b.*--classes"):
        convert_images(tmp_path / "src", out, split="val")
    done = convert_images(tmp_path / "src", out, split="val", overwrite=True)
    assert done.removed == ("train-data-list.txt", "train-00000.hdf5")
    assert names(out) == ["classes.txt", "val-00000.hdf5", "val-data-list.txt"]
    assert (out / "classes.txt").read_text() == "a\nb\n"


def test_all_splits_in_a_folder_are_alike(tmp_path):
    train, val = (write_classes(tmp_path / name, {"a": 3, "b": 3}) for name in ("train-src", "val-src"))
    out = tmp_path / "out"
    convert_images(train, out, size=8)
    for other in ({"size": 16}, {"channel_order": "bgr", "size": 8}, {"color": False, "size": 8},
                  {"size": 8, "fit": "pad"}):  # fmt: skip
        with pytest.raises(ConfigError, match=r"train-00000\.hdf5 was made with other options than these.*alike"):
            convert_images(val, out, split="val", **other)
    convert_images(val, out, split="val", size=8)
    done = convert_images(val, out, split="val", size=16, overwrite=True)
    assert done.removed == ("train-data-list.txt", "train-00000.hdf5")
    # where nothing was resized, there is no way of fitting that could differ
    convert_images(train, tmp_path / "two")
    convert_images(val, tmp_path / "two", split="val", size=(6, 8), fit="pad")
    table = tmp_path / "t.csv"
    table.write_text("label,x\n0,1\n1,2\n")
    with pytest.raises(ConfigError, match="was made with other options"):
        convert_csv(table, out, split="more", labels="values")


def test_a_mean_of_other_samples_does_not_stay(tmp_path):
    source, out = write_classes(tmp_path / "src", {"a": 6}), tmp_path / "out"
    convert_images(source, out, mean=True)
    for name in ("train-00000.hdf5", "train-data-list.txt"):
        (out / name).unlink()
    with pytest.raises(ConfigError, match=r"mean\.hdf5 is there already"):
        convert_images(source, out, seed=5)
    assert convert_images(source, out, seed=5, overwrite=True).removed == ("mean.hdf5",)
    # one that somebody else put there is theirs
    write_mean(out / "train-data-list.txt", tmp_path / "own" / "mean.hdf5")
    before = (tmp_path / "own" / "mean.hdf5").read_bytes()
    convert_images(source, tmp_path / "own")
    assert (tmp_path / "own" / "mean.hdf5").read_bytes() == before


def test_a_mean_goes_with_what_was_skipped(tmp_path, monkeypatch):
    source, out = write_classes(tmp_path / "src", {"a": 4}), tmp_path / "out"
    path = source / "a" / "001.png"
    raw, about = path.read_bytes(), path.stat()
    path.write_bytes(b"x" * len(raw))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    options = {"damaged": "skip", "mean": True, "size": 4}
    assert convert_images(source, out, **options).skipped == 1
    path.write_bytes(raw)  # readable again, though nothing tells it from before
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert convert_images(source, out, **options).skipped == 1
    assert convert_images(source, out, **options, overwrite=True).skipped == 0
    with h5py.File(out / "train-00000.hdf5") as file, h5py.File(out / "mean.hdf5") as mean:
        assert len(file["data"]) == 4
        np.testing.assert_allclose(mean["mean"][()], file["data"][()].mean(axis=0), rtol=1e-6)
    assert not (out / "skipped.txt").exists()


@pytest.mark.parametrize(
    "error", [MemoryError(), *(OSError(number, os.strerror(number)) for number in (errno.EMFILE, errno.EIO))]
)
def test_trouble_of_the_machine_is_no_damage(tmp_path, monkeypatch, error):
    source, out = write_classes(tmp_path / "src", {"a": 4}), tmp_path / "out"
    real = builtins.open

    def opened(path, *args, **kwargs):
        if str(path).endswith("002.png"):
            raise error
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", opened)
        with pytest.raises(MochaError, match=r"002\.png: cannot be read now") as told:
            convert_images(source, out, damaged="skip", size=4)
    assert not isinstance(told.value, FormatError)
    assert names(out) == []


def test_a_file_that_cannot_be_looked_at_is_not_missing(tmp_path, monkeypatch):
    source, real = write_classes(tmp_path / "src", {"a": 4}), os.stat

    def stat(path, *args, **kwargs):
        if str(path).endswith("002.png"):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        with pytest.raises(MochaError, match=r"002\.png: cannot be looked at now"):
            convert_images(source, tmp_path / "out", damaged="skip", size=4)


def test_a_list_of_ones_own_that_is_called_skipped(tmp_path):
    source, out = write_classes(tmp_path / "src", {"a": 3}), tmp_path / "out"
    (source / "a" / "odd\tna\nme.png").write_bytes(b"x")
    out.mkdir()
    (out / "skipped.txt").write_text("my notes\n")
    with pytest.raises(ConfigError, match=r"skipped\.txt is there already"):
        convert_images(source, out, damaged="skip", size=4)
    assert (out / "skipped.txt").read_text() == "my notes\n"
    convert_images(source, out, damaged="skip", size=4, overwrite=True)
    head, line = (out / "skipped.txt").read_text().splitlines()
    assert head == "entry\treason"
    assert line.split("\t")[0] == r"a/odd\tna\nme.png"
    assert len(line.split("\t")) == 2
    # a conversion that skips nothing leaves such a file alone
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "skipped.txt").write_text("my notes\n")
    convert_images(write_classes(tmp_path / "whole", {"a": 3}), tmp_path / "plain")
    assert (tmp_path / "plain" / "skipped.txt").read_text() == "my notes\n"


def test_out_within_the_source(tmp_path):
    source = write_classes(tmp_path / "src", {"a": 3})
    for out in (source / "sets", source, source / "a" / ".." / "sets"):
        with pytest.raises(ConfigError, match="would pass for a class"):
            convert_images(source, out)
    assert names(source) == ["a"]


@pytest.mark.parametrize("what", ["images", "mean"])
def test_a_full_disk(tmp_path, what):
    source, out = write_classes(tmp_path / "src", {"a": 8}, size=(64, 64)), tmp_path / "out"
    words = ["convert", "images", str(source), "--out", str(out)]
    if what == "mean":
        convert_images(source, tmp_path / "sets")
        words = ["convert", "mean", str(tmp_path / "sets" / "train-data-list.txt"), str(out / "mean.hdf5")]
    limit = 20 * 1024
    done = subprocess.run(
        [sys.executable, "-m", "mocha", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(
        f"Error: {out}/{'mean' if what == 'mean' else 'train-00000'}.hdf5: the file cannot be"
    )
    assert len(done.stderr.splitlines()) == 1
    assert names(out) == []
