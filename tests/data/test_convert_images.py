from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

pytest.importorskip("PIL", reason="needs Pillow, of the extra [images]")

from PIL import Image
from tests.data.pictures import write_classes, write_image

from mocha.data import HDF5Source, convert_images, write_mean
from mocha.errors import ConfigError, FormatError, MochaError, ShapeError, StateError


def everything(out, split="train"):
    """Data and labels of a split, in the order of its list."""
    names = (out / f"{split}-data-list.txt").read_text().split()
    parts = []
    for name in names:
        with h5py.File(out / name) as file:
            assert file["data"].chunks is None
            parts.append((file["data"][()], file["label"][()]))
    return np.concatenate([data for data, _ in parts]), np.concatenate([label for _, label in parts])


def contents(out):
    """Name -> bytes of all files in a folder."""
    return {path.name: path.read_bytes() for path in out.iterdir()}


def as_set(data):
    return sorted(sample.tobytes() for sample in data)


# -- folders


def test_a_folder_of_classes(tmp_path):
    source = write_classes(tmp_path / "src", {"b-dog": 5, "a-cat": 7})
    (source / "a-cat" / "notes.txt").write_text("no image")
    (source / ".hidden").mkdir()
    done = convert_images(source, tmp_path / "out", per_file=5)
    assert done.samples == {"train": 12}
    assert done.files == {"train": 3}
    assert (done.made, done.kept, done.skipped, done.passed_over) == (3, 0, 0, 1)
    assert sorted(contents(tmp_path / "out")) == [
        "classes.txt", "train-00000.hdf5", "train-00001.hdf5", "train-00002.hdf5", "train-data-list.txt"
    ]  # fmt: skip
    assert (tmp_path / "out" / "classes.txt").read_text() == "a-cat\nb-dog\n"
    data, label = everything(tmp_path / "out")
    assert (data.dtype, data.shape) == (np.uint8, (12, 3, 6, 8))
    assert (label.dtype, label.shape) == (np.float32, (12, 1))
    expected = {}
    for number, name in enumerate(("a-cat", "b-dog")):
        for path in (source / name).rglob("*.png"):
            expected[np.asarray(Image.open(path)).transpose(2, 0, 1).tobytes()] = number
    assert {sample.tobytes(): int(one[0]) for sample, one in zip(data, label, strict=True)} == expected
    assert label[:, 0].tolist() != sorted(label[:, 0])


def test_what_is_written_can_be_trained_on(tmp_path):
    from mocha import DefaultBackend, HDF5DataLayer, Net
    from mocha.data import DataTransformers

    source = write_classes(tmp_path / "src", {"a": 6, "b": 6})
    convert_images(source, tmp_path / "out", mean=True)
    listing = tmp_path / "out" / "train-data-list.txt"
    assert all(file.mappable for file in HDF5Source(listing, ["data", "label"], 4)._files)
    centred = DataTransformers.SubMean(mean_file=tmp_path / "out" / "mean.hdf5")
    layer = HDF5DataLayer(source=listing, batch_size=12, shuffle=True, transformers=[("data", centred)])
    with DefaultBackend() as backend, Net("look", backend, [layer]) as net:
        batch = net.next_batch()
    np.testing.assert_allclose(batch["data"].mean(axis=0), 0, atol=1e-4)
    assert sorted(batch["label"].ravel().tolist()) == [0] * 6 + [1] * 6


def test_order_and_seed(tmp_path):
    source = write_classes(tmp_path / "src", {"a": 6, "b": 5})
    outs = {}
    for name, options in {"one": {}, "two": {"workers": 1}, "many": {"workers": 7}, "seed": {"seed": 2},
                          "plain": {"shuffle": False}}.items():  # fmt: skip
        convert_images(source, tmp_path / name, per_file=4, mean=True, **options)
        outs[name] = contents(tmp_path / name)
    assert outs["one"] == outs["two"] == outs["many"]
    assert outs["one"] != outs["seed"]
    assert outs["one"]["mean.hdf5"] != outs["seed"]["mean.hdf5"]  # the digest; the mean itself is the same:
    means = [h5py.File(tmp_path / name / "mean.hdf5")["mean"][()] for name in ("one", "seed")]
    assert means[0].dtype == np.float32
    np.testing.assert_array_equal(*means)
    data, label = everything(tmp_path / "plain")
    assert label[:, 0].tolist() == [0] * 6 + [1] * 5
    np.testing.assert_allclose(means[0], data.mean(axis=0), rtol=1e-6)
    assert as_set(everything(tmp_path / "seed")[0]) == as_set(data)


def test_a_share_for_testing_of_each_class(tmp_path):
    source = write_classes(tmp_path / "src", {"a": 20, "b": 10, "c": 5})
    done = convert_images(source, tmp_path / "out", test_share=0.2)
    assert done.samples == {"train": 28, "test": 7}
    train, test = everything(tmp_path / "out"), everything(tmp_path / "out", "test")
    assert np.bincount(test[1][:, 0].astype(int)).tolist() == [4, 2, 1]
    assert not set(as_set(train[0])) & set(as_set(test[0]))
    for share in (1.0, -0.1, 0.001, 0.999, float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ConfigError, match="share"):
            convert_images(source, tmp_path / "none", test_share=share)
    assert not (tmp_path / "none").exists()


def test_folders_of_splits(tmp_path):
    for split, counts in {"train": {"a": 3, "b": 2}, "Validation": {"a": 1, "b": 1}}.items():
        write_classes(tmp_path / "src" / split, counts)
    done = convert_images(tmp_path / "src", tmp_path / "out")
    assert done.samples == {"train": 5, "val": 2}
    assert done.classes == ("a", "b")
    with pytest.raises(ConfigError, match="the source names its splits itself"):
        convert_images(tmp_path / "src", tmp_path / "other", test_share=0.5)


def test_folders_that_are_no_classes(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="no folders in it"):
        convert_images(tmp_path / "empty", tmp_path / "out")
    (tmp_path / "empty" / "a").mkdir()
    with pytest.raises(FormatError, match="without images"):
        convert_images(tmp_path / "empty", tmp_path / "out")
    write_image(tmp_path / "flat" / "a.png", 1)
    with pytest.raises(FormatError, match=r"'a.png' lies in no folder of a class"):
        convert_images(tmp_path / "flat", tmp_path / "out")
    with pytest.raises(FormatError, match="no such file or folder"):
        convert_images(tmp_path / "nothing", tmp_path / "out")
    write_image(tmp_path / "odd" / "two\nlines" / "a.png", 1)
    with pytest.raises(FormatError, match="line breaks"):
        convert_images(tmp_path / "odd", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_splits_beside_what_is_none(tmp_path):
    source = tmp_path / "kag"
    write_classes(source / "train", {"cat": 2, "dog": 2})
    write_image(source / "test" / "1.png", 1)
    with pytest.raises(FormatError, match=r"'train' is a split by .* but 'test' beside it holds no folders.*kag/train"):
        convert_images(source, tmp_path / "out")
    (source / "test").rename(source / "spare")
    with pytest.raises(FormatError, match="'spare' beside it is not called train"):
        convert_images(source, tmp_path / "out")
    # classes that are called so are classes
    write_classes(tmp_path / "vehicles", {"train": 2, "car": 1})
    shutil.rmtree(tmp_path / "vehicles" / "train" / "deep", ignore_errors=True)
    assert convert_images(tmp_path / "vehicles", tmp_path / "out").classes == ("car", "train")


@pytest.mark.parametrize("name", [" cat", "cat ", "cat\u2028dog", "cat\x07"])
def test_names_that_cannot_be_listed(tmp_path, name):
    write_image(tmp_path / "src" / name / "a.png", 1)
    with pytest.raises(FormatError, match="the name of a class is"):
        convert_images(tmp_path / "src", tmp_path / "out")


@pytest.mark.parametrize("broken", ["a", "a/deep", ""])
def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch, broken):
    source, real = write_classes(tmp_path / "src", {"a": 3, "b": 3}), os.scandir

    def scandir(path):
        if os.path.normpath(path) == os.path.normpath(source / broken):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(FormatError, match=r"src.*: the folder cannot be read \(Permission denied\)"):
        convert_images(source, tmp_path / "out")


def test_links_in_a_circle(tmp_path):
    source = write_classes(tmp_path / "src", {"a": 2})
    (source / "a" / "again").symlink_to(source / "a", target_is_directory=True)
    assert convert_images(source, tmp_path / "out").samples == {"train": 2}


# -- sizes and colours


def test_size_and_fit(tmp_path):
    source = tmp_path / "src"
    pixels = np.full((4, 12, 3), 200, np.uint8)
    pixels[:, :4], pixels[:, 8:] = 20, 90  # dark, bright, dark again: only cropping sees no dark columns
    (source / "a").mkdir(parents=True)
    Image.fromarray(pixels).save(source / "a" / "x.png")
    ends = {"stretch": (20, 90), "crop": (200, 200), "pad": (20, 90)}
    for fit, rows in {"stretch": [200] * 8, "crop": [200] * 8, "pad": [0, 0, 200, 200, 200, 0, 0, 0]}.items():
        convert_images(source, tmp_path / fit, size=8, fit=fit)
        data, _ = everything(tmp_path / fit)
        assert data.shape == (1, 3, 8, 8)
        assert data[0, 0, :, 4].tolist() == rows
        np.testing.assert_allclose(data[0, 0, 3, [0, 7]].astype(int), ends[fit], atol=50)  # edges are smoothed
    convert_images(source, tmp_path / "hw", size=(5, 7))
    assert everything(tmp_path / "hw")[0].shape == (1, 3, 5, 7)
    for size in (0, (3, 0), (3,), "8x8", True):
        with pytest.raises(ConfigError, match="size is"):
            convert_images(source, tmp_path / "none", size=size)


def test_channels(tmp_path):
    pixels = write_image(tmp_path / "src" / "a" / "x.png", 3)
    convert_images(tmp_path / "src", tmp_path / "rgb")
    convert_images(tmp_path / "src", tmp_path / "bgr", channel_order="bgr")
    convert_images(tmp_path / "src", tmp_path / "grey", color=False)
    np.testing.assert_array_equal(everything(tmp_path / "rgb")[0][0], pixels.transpose(2, 0, 1))
    np.testing.assert_array_equal(everything(tmp_path / "bgr")[0][0], pixels[:, :, ::-1].transpose(2, 0, 1))
    assert everything(tmp_path / "grey")[0].shape == (1, 1, 6, 8)
    with pytest.raises(ConfigError, match="channel_order"):
        convert_images(tmp_path / "src", tmp_path / "out", channel_order="gbr")


def test_different_sizes_name_both_files(tmp_path):
    source = write_classes(tmp_path / "src", {"a": 3})
    write_image(source / "a" / "zz.png", 9, size=(7, 8))
    with pytest.raises(ShapeError, match=r"a/000\.png is 6x8.*zz\.png is 7x8.*size"):
        convert_images(source, tmp_path / "out", per_file=2, shuffle=False)
    assert sorted(contents(tmp_path / "out")) == ["train-00000.hdf5"]  # what was finished, and no list


# -- lists and tables


def test_an_image_list(tmp_path):
    for name in ("a b.png", "c.png", "deep/d.png"):
        write_image(tmp_path / name, len(name))
    (tmp_path / "list.txt").write_text("a b.png 3\n\nc.png\t0\r\n  deep/d.png   1  \n")
    done = convert_images(tmp_path / "list.txt", tmp_path / "out", shuffle=False)
    assert done.classes is None
    assert everything(tmp_path / "out")[1].tolist() == [[3], [0], [1]]
    (tmp_path / "vectors.txt").write_text("a b.png 0.5 -1e3\nc.png 2 3\n")
    convert_images(tmp_path / "vectors.txt", tmp_path / "vectors", label_count=2, shuffle=False)
    assert everything(tmp_path / "vectors")[1].tolist() == [[0.5, -1000], [2, 3]]
    (tmp_path / "rooted.txt").write_text("/c.png 0\n/deep/d.png 1\n")  # as Caffe's: root and path put together
    convert_images(tmp_path / "rooted.txt", tmp_path / "rooted", root=tmp_path, split="val")
    assert sorted(contents(tmp_path / "rooted")) == ["val-00000.hdf5", "val-data-list.txt"]
    (tmp_path / "words.txt").write_text("a b.png wolf\nc.png ant\n")
    done = convert_images(tmp_path / "words.txt", tmp_path / "words", shuffle=False)
    assert done.classes == ("ant", "wolf")
    assert everything(tmp_path / "words")[1].tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "there are no images"),
        ("x.png\n", {}, "list.txt, line 1: 'x.png'; expected the path"),
        ("x.png 0\nx.png -1\n", {}, "line 2: the label is '-1'.*classes"),
        ("x.png 0\nx.png 16777217\n", {}, "16777217"),
        ("x.png 0\nx.png nan\n", {}, "line 2: the label is 'nan'; expected a finite"),
        ("x.png 0\nx.png inf\n", {"labels": "values"}, "finite"),
        ("x.png 0\nx.png -1e39\n", {"labels": "values"}, "line 2: the label is '-1e39'; .*float32"),
        ("x.png 1e39\n", {}, "of float32"),
        ("x.png 0\nx.png cat\n", {}, "line 2: the label is 'cat'; expected a number"),
        ("x.png cat\nx.png 0\n", {}, "line 2: the label '0' is a number, but those before are words"),
        ("x.png 0.5\n", {"labels": "classes"}, "0.5.*expected classes"),
        ("x.png 0\ny.png 1\nz.png 1\n", {}, r"y.png \(and 1 more\): there is no such file"),
        ("x.png 0\n", {"root": "elsewhere"}, "no such file"),
        ("x\0.png 0\n", {}, "not the path"),
    ],
)
def test_bad_lists(tmp_path, text, options, message):
    write_image(tmp_path / "x.png", 1)
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(FormatError, match=message):
        convert_images(tmp_path / "list.txt", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_image_is_no_list(tmp_path):
    write_image(tmp_path / "x.png", 1)
    with pytest.raises(FormatError, match="in UTF-8"):
        convert_images(tmp_path / "x.png", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_columns": ["Label"]}, "is an image list, for which a column means nothing"),
        ({"label_count": 0}, "label_count is 0"),
        ({"label_count": 2, "labels": "classes"}, "cannot be classes"),
        ({"per_file": 0}, "per_file is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"fit": "shrink"}, "fit is 'shrink'"),
        ({"labels": "colours"}, "labels is 'colours'"),
        ({"damaged": "ignore"}, "damaged 'ignore'"),
        ({"split": "../up"}, "the split is '../up'"),
        ({"split": "val", "mean": True}, "only: val"),
        ({"split": "val", "test_share": 0.5}, "test_share"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_arguments_that_cannot_be(tmp_path, options, message):
    write_image(tmp_path / "x.png", 1)
    (tmp_path / "list.txt").write_text("x.png 0 0\n" if options.get("label_count") == 2 else "x.png 0\n")
    with pytest.raises((ConfigError, FormatError), match=message):
        convert_images(tmp_path / "list.txt", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_table_as_mocha_jl_reads_it(tmp_path):
    for index in range(4):
        write_image(tmp_path / f"{index}.png", index)
    (tmp_path / "t.csv").write_text("ImageName,Label,TrainTest\n0.png,009,Train\n1.png,018,Train\n2.png,053,Test\n")
    done = convert_images(tmp_path / "t.csv", tmp_path / "out", shuffle=False)
    assert done.samples == {"train": 2, "test": 1}
    assert everything(tmp_path / "out")[1].tolist() == [[9], [18]]
    assert everything(tmp_path / "out", "test")[1].tolist() == [[53]]


def test_columns(tmp_path):
    for name in ("a,b.png", "c.png"):
        write_image(tmp_path / "img" / name, len(name))
    (tmp_path / "t.tsv").write_text('x\tfile\ty\tset\n1.5\t"a,b.png"\t2\tTrain\n0\tc.png\t-3\tholdout\n')
    assert convert_images(
        tmp_path / "t.tsv", tmp_path / "numbers", image_column=1, label_columns=["-2"], split_column=3,
        root=tmp_path / "img", labels="values",
    ).samples == {"train": 1, "holdout": 1}  # fmt: skip
    assert everything(tmp_path / "numbers")[1].tolist() == [[2]]
    (tmp_path / "lower.csv").write_text("imagename,LABEL,traintest\nc.png,7,test\n")
    convert_images(tmp_path / "lower.csv", tmp_path / "lower", root=tmp_path / "img")
    assert everything(tmp_path / "lower", "test")[1].tolist() == [[7]]
    chosen = {"image_column": "file", "label_columns": ["y", "x"], "split_column": "set", "root": tmp_path / "img"}
    done = convert_images(tmp_path / "t.tsv", tmp_path / "out", **chosen)
    assert done.samples == {"train": 1, "holdout": 1}
    assert everything(tmp_path / "out")[1].tolist() == [[2, 1.5]]
    for wrong, message in (({"image_column": "fil"}, "Did you mean 'file'"), ({"split_column": "part"}, "no column")):
        with pytest.raises(ConfigError, match=message):
            convert_images(tmp_path / "t.tsv", tmp_path / "none", **{**chosen, **wrong})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'ImageName'"),
        ("ImageName,Label\n", "no images"),
        ("ImageName,Label\nx.png\n", "line 2: 1 fields; expected 2"),
        ("ImageName,Label\nx.png,\n", "line 2: the label is ''"),
        ("ImageName,Label\n,1\n", "not the path"),
        ('ImageName,Label\n"x.png,1\n', "damaged CSV"),
        ("ImageName,Label,TrainTest\nx.png,1,../../etc\n", "line 2: the split is"),
        ("ImageName,Label,Label\nx.png,1,1\n", "2 columns are called 'Label'"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    write_image(tmp_path / "x.png", 1)
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises((FormatError, ConfigError), match=message):
        convert_images(tmp_path / "t.csv", tmp_path / "out")


# -- damaged images


def test_damaged_images_stop_or_are_skipped(tmp_path):
    source = write_classes(tmp_path / "src", {"a": 6, "b": 2})
    whole = (source / "a" / "000.png").read_bytes()
    for name, raw in {"001.png": b"", "003.png": whole[:60], "004.png": b"not an image"}.items():
        (source / "a" / name).write_bytes(raw)
    out = tmp_path / "out"
    with pytest.raises(FormatError, match=r"a/001\.png: no image.*skip"):
        convert_images(source, out, per_file=1, shuffle=False)
    assert sorted(contents(out)) == ["train-00000.hdf5"]
    done = convert_images(source, out, per_file=1, shuffle=False, damaged="skip", mean=True)
    assert (done.kept, done.made, done.skipped) == (1, 7, 3)
    assert done.samples == {"train": 5}
    assert done.files == {"train": 5}
    skipped = (out / "skipped.txt").read_text().splitlines()
    assert skipped[0] == "entry\treason"
    assert [line.split("\t")[0] for line in skipped[1:]] == ["a/001.png", "a/003.png", "a/004.png"]
    # files without a sample are there, so that they are not tried again, but no list names them
    assert len(list(out.glob("train-*.hdf5"))) == 8
    batch = HDF5Source(out / "train-data-list.txt", ["data", "label"], 5).batch(0)
    np.testing.assert_allclose(h5py.File(out / "mean.hdf5")["mean"][()], batch["data"].mean(axis=0), rtol=1e-6)
    again = convert_images(source, out, per_file=1, shuffle=False, damaged="skip", mean=True)
    assert (again.made, again.skipped, again.samples) == (0, 3, {"train": 5})
    with pytest.raises(FormatError, match="no image"):  # gaps are not taken for finished where none are allowed
        convert_images(source, out, per_file=1, shuffle=False)


def test_a_smaller_piece(tmp_path):
    source = write_classes(tmp_path / "src", {"a": 8})
    (source / "a" / "003.png").write_bytes(b"x")
    convert_images(source, tmp_path / "out", per_file=5, shuffle=False, damaged="skip", size=4)
    with h5py.File(tmp_path / "out" / "train-00000.hdf5") as file:
        assert file["data"].shape == (4, 3, 4, 4)
        assert file["data"].chunks is None
    assert HDF5Source(tmp_path / "out" / "train-data-list.txt", ["data", "label"], 7).examples == 7
    size = (tmp_path / "out" / "train-00000.hdf5").stat().st_size
    assert size < 4 * 3 * 4 * 4 + 8192
    # an image that was mended makes its file anew
    write_image(source / "a" / "003.png", 5)
    with pytest.raises(ConfigError, match="overwrite"):
        convert_images(source, tmp_path / "out", per_file=5, shuffle=False, damaged="skip", size=4)
    done = convert_images(source, tmp_path / "out", per_file=5, shuffle=False, size=4, overwrite=True)
    assert (done.made, done.kept, done.samples) == (1, 1, {"train": 8})
    assert not (tmp_path / "out" / "skipped.txt").exists()


def test_nothing_can_be_read(tmp_path):
    source = write_classes(tmp_path / "src", {"a": 2})
    for path in (source / "a").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(FormatError, match="none of 2 images can be read"):
        convert_images(source, tmp_path / "out", damaged="skip")
    with pytest.raises(FormatError, match=r"of 2 images for 'train' none.*skipped\.txt"):
        convert_images(source, tmp_path / "out", damaged="skip", size=4)
    assert not (tmp_path / "out" / "train-data-list.txt").exists()


def test_pipes_and_long_images(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")  # would block for ever
    Image.new("L", (1, 60000)).save(tmp_path / "long.png")  # at a width of 227, it would be 3 GB
    write_image(tmp_path / "x.png", 1)
    (tmp_path / "list.txt").write_text("pipe.png 0\nlong.png 0\nx.png 0\n")
    done = convert_images(tmp_path / "list.txt", tmp_path / "out", damaged="skip", size=227, fit="crop")
    assert (done.samples, done.skipped) == ({"train": 2}, 1)
    assert (tmp_path / "out" / "skipped.txt").read_text().splitlines()[1:] == ["pipe.png\tthere is no such file"]


def test_without_pillow(tmp_path, monkeypatch):
    source = write_classes(tmp_path / "src", {"a": 2})
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MochaError, match=r"pip install"):
        convert_images(source, tmp_path / "out", damaged="skip")


# -- running again


def test_other_files_are_refused_and_replaced(tmp_path):
    source, out = write_classes(tmp_path / "src", {"a": 4, "b": 4}), tmp_path / "out"
    convert_images(source, out, per_file=2, test_share=0.25, mean=True)
    before = contents(out)
    assert convert_images(source, out, per_file=2, test_share=0.25, mean=True).made == 0
    assert contents(out) == before
    for other in ({"per_file": 3}, {"seed": 5}, {"color": False}, {"channel_order": "bgr"}, {"size": 5}):
        with pytest.raises(ConfigError, match=r"is there already.*--overwrite"):
            convert_images(source, out, **{"per_file": 2, "test_share": 0.25, "mean": True, **other})
    with pytest.raises(ConfigError, match="is there already"):  # the test split would stay, with images now trained on
        convert_images(source, out, per_file=2)
    assert contents(out) == before
    convert_images(source, out, per_file=4, overwrite=True)
    assert sorted(contents(out)) == ["classes.txt", "train-00000.hdf5", "train-00001.hdf5", "train-data-list.txt"]
    assert everything(out)[0].shape[0] == 8


def test_a_mean_and_labels_can_be_had_later(tmp_path):
    source, out = write_classes(tmp_path / "src", {"a": 4}), tmp_path / "out"
    convert_images(source, out, per_file=3)
    done = convert_images(source, out, per_file=3, mean=True)
    assert (done.made, done.kept) == (0, 2)
    expected = write_mean(out / "train-data-list.txt", tmp_path / "mean.hdf5")
    np.testing.assert_array_equal(h5py.File(out / "mean.hdf5")["mean"][()], expected)


def test_two_lists_in_one_folder(tmp_path):
    write_classes(tmp_path, {"img": 6})
    images = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "img").rglob("*.png"))
    (tmp_path / "train.txt").write_text("".join(f"{name} cat\n" for name in images[:3]) + f"{images[3]} dog\n")
    (tmp_path / "val.txt").write_text(f"{images[4]} dog\n{images[5]} cat\n")
    convert_images(tmp_path / "train.txt", tmp_path / "out", mean=True)
    convert_images(tmp_path / "val.txt", tmp_path / "out", split="val")
    assert sorted(contents(tmp_path / "out")) == [
        "classes.txt", "mean.hdf5", "train-00000.hdf5", "train-data-list.txt", "val-00000.hdf5", "val-data-list.txt"
    ]  # fmt: skip
    before = contents(tmp_path / "out")
    convert_images(tmp_path / "val.txt", tmp_path / "out", split="val", seed=1, overwrite=True)
    after = contents(tmp_path / "out")
    assert {name for name in before if before[name] != after.get(name)} == {"val-00000.hdf5"}
    with pytest.raises(ConfigError, match=r"val-00000\.hdf5.* is there already"):  # the same images in two splits
        convert_images(tmp_path / "val.txt", tmp_path / "out", split="val2")
    (tmp_path / "val2.txt").write_text(f"{images[4]} dog\n{images[5]} eel\n")  # numbers would mean other classes
    with pytest.raises(ConfigError, match=r"classes\.txt lists other classes than these, dog, eel"):
        convert_images(tmp_path / "val2.txt", tmp_path / "out", split="val2")


def test_known_classes(tmp_path):
    source = write_classes(tmp_path / "src", {"cat": 2, "dog": 1})
    done = convert_images(source, tmp_path / "out", classes=("eel", "dog", "cat"), shuffle=False)
    assert done.classes == ("eel", "dog", "cat")
    assert everything(tmp_path / "out")[1].tolist() == [[2], [2], [1]]
    with pytest.raises(FormatError, match=r"'cat' is none of the classes\. Did you mean 'cats'"):
        convert_images(source, tmp_path / "none", classes=("cats", "dog"))
    with pytest.raises(FormatError, match="'dog' comes twice"):
        convert_images(source, tmp_path / "none", classes=("cat", "dog", "dog"))
    (tmp_path / "list.txt").write_text("src/dog/000.png 7\nsrc/cat/000.png cat\n")
    done = convert_images(tmp_path / "list.txt", tmp_path / "list", classes=("cat", "7"), shuffle=False)
    assert everything(tmp_path / "list")[1].tolist() == [[1], [0]]
    with pytest.raises(FormatError, match="line 2: 'cat' is none of the classes"):
        convert_images(tmp_path / "list.txt", tmp_path / "none", classes=("7",))
    with pytest.raises(ConfigError, match="labels are to be values"):
        convert_images(tmp_path / "list.txt", tmp_path / "none", classes=("7",), labels="values")


def test_the_files_of_others_stay(tmp_path):
    source = write_classes(tmp_path / "src", {"a": 4})
    for name in ("train-data-list.txt", "train-00000.hdf5", "classes.txt"):
        out = tmp_path / name.partition(".")[0]
        out.mkdir()
        (out / name).write_text("mine.hdf5\n")
        (out / "other.hdf5").write_text("no HDF5")
        with pytest.raises(ConfigError, match=f"{name}.* (is there already|lists other classes)"):
            convert_images(source, out)
        assert contents(out) == {name: b"mine.hdf5\n", "other.hdf5": b"no HDF5"}
        convert_images(source, out, overwrite=True)
        assert (out / "other.hdf5").read_bytes() == b"no HDF5"
        assert everything(out)[0].shape[0] == 4


def test_a_damaged_piece_is_not_taken_for_finished(tmp_path):
    source, out = write_classes(tmp_path / "src", {"a": 4}), tmp_path / "out"
    convert_images(source, out, per_file=2)
    piece = out / "train-00001.hdf5"
    whole = piece.read_bytes()
    piece.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"train-00001\.hdf5 is there already"):
        convert_images(source, out, per_file=2)
    assert convert_images(source, out, per_file=2, overwrite=True).kept == 1
    assert piece.read_bytes() == whole


def test_one_at_a_time(tmp_path):
    source, out = write_classes(tmp_path / "src", {"a": 4}), tmp_path / "out"
    out.mkdir()
    descriptor = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(StateError, match="another process"):
            convert_images(source, out)
    finally:
        os.close(descriptor)
    assert convert_images(source, out).made == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle(tmp_path, how):
    source = write_classes(tmp_path / "src", {"a": 200, "b": 200}, size=(200, 200))
    words = [sys.executable, "-m", "mocha", "convert", "images", str(source), "--size", "160", "--per-file", "4",
             "--mean", "--workers", "2", "--out"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    out = tmp_path / "out"
    process = subprocess.Popen([*words, str(out)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while process.poll() is None and len(list(out.glob("train-*.hdf5"))) < 3:
        time.sleep(0.001)
    process.send_signal(how)
    output, _ = process.communicate()
    assert process.returncode not in (0, None), "it was over before it could be killed"
    if how == signal.SIGINT:
        assert b"Finished files are kept" in output
        assert b"Traceback" not in output
        assert not list(out.glob(".mocha-*"))
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*.hdf5")}
    assert 3 <= len(finished) < 100
    assert {path.name for path in out.glob("[!.]*")} == {path.name for path in finished}
    for path in finished:
        with h5py.File(path) as file:
            assert file["data"].shape == (4, 3, 160, 160)
    again = subprocess.run([*words, str(out)], env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert f"{100 - len(finished)} files made, {len(finished)} kept" in again.stdout
    assert again.stderr == ""
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    convert_images(source, tmp_path / "whole", size=160, per_file=4, mean=True)
    assert contents(out) == contents(tmp_path / "whole")
