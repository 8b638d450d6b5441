from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mocha.data import HDF5Source, convert_csv
from mocha.data.converters import rows as table_rows
from mocha.errors import ConfigError, FormatError, MochaError


def written(out, split="train"):
    """Data and labels of a split, in the order of its list."""
    data, label = [], []
    for name in (out / f"{split}-data-list.txt").read_text().split():
        with h5py.File(out / name) as file:
            data.append(file["data"][()])
            label.append(file["label"][()] if "label" in file else np.empty((len(file["data"]), 0)))
    return np.concatenate(data), np.concatenate(label)


def write_table(path, n=10, columns=6, delimiter=",", head=True):
    values = np.random.default_rng(0).integers(0, 256, (n, columns))
    labels = np.arange(n) % 3
    lines = [delimiter.join(["label", *(f"pixel{i}" for i in range(columns))])] if head else []
    lines += [delimiter.join(map(str, [label, *row])) for label, row in zip(labels, values, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return values, labels


def test_as_kaggle_has_mnist(tmp_path):
    values, labels = write_table(tmp_path / "t.csv", n=23)
    done = convert_csv(tmp_path / "t.csv", tmp_path / "out", shape=(1, 2, 3), scale=0.5, per_file=10, mean=True)
    assert done.samples == {"train": 23}
    assert done.files == {"train": 3}
    data, label = written(tmp_path / "out")
    assert (data.dtype, data.shape, label.dtype, label.shape) == (np.float32, (23, 1, 2, 3), np.float32, (23, 1))
    found = {bytes(x.tobytes()): int(y[0]) for x, y in zip(data, label, strict=True)}
    expected = (values * 0.5).astype(np.float32)
    assert found == {x.tobytes(): int(y) for x, y in zip(expected, labels, strict=True)}
    assert label[:, 0].tolist() != labels.tolist()
    with h5py.File(tmp_path / "out" / "mean.hdf5") as file:
        np.testing.assert_allclose(file["mean"][()].ravel(), expected.mean(axis=0), rtol=1e-6)
    assert HDF5Source(tmp_path / "out" / "train-data-list.txt", ["data", "label"], 5)._files[0].mappable
    assert convert_csv(
        tmp_path / "t.csv", tmp_path / "out", shape=(1, 2, 3), scale=0.5, per_file=10, mean=True
    ).kept == 3  # fmt: skip
    with pytest.raises(ConfigError, match="is there already"):
        convert_csv(tmp_path / "t.csv", tmp_path / "out", shape=(1, 2, 3), scale=0.25, per_file=10)


def test_blocks_and_order(tmp_path, monkeypatch):
    values, labels = write_table(tmp_path / "t.csv", n=50)
    convert_csv(tmp_path / "t.csv", tmp_path / "plain", shuffle=False)
    data, label = written(tmp_path / "plain")
    np.testing.assert_array_equal(data, values)
    np.testing.assert_array_equal(label[:, 0], labels)
    convert_csv(tmp_path / "t.csv", tmp_path / "one", per_file=20)
    monkeypatch.setattr(table_rows, "_AT_ONCE", 7 * 3)  # three lines at once
    convert_csv(tmp_path / "t.csv", tmp_path / "two", per_file=20)
    for name in ("train-00000.hdf5", "train-00002.hdf5"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    order = written(tmp_path / "two")[0]
    assert sorted(map(tuple, order.tolist())) == sorted(map(tuple, values.tolist()))
    convert_csv(tmp_path / "t.csv", tmp_path / "split", test_share=0.3)
    assert np.bincount(written(tmp_path / "split", "test")[1][:, 0].astype(int)).tolist() == [5, 5, 5]


@pytest.mark.parametrize(
    ("text", "options", "data", "label"),
    [
        ("1;2;3\n4;5;6\n", {"header": False, "delimiter": ";", "label_columns": [-1]}, [[1, 2], [4, 5]], [[3], [6]]),
        ("label,a\n1,2\n \t \n3,4\n\n", {}, [[2], [4]], [[1], [3]]),
        ("1\t2\t3", {"header": False, "delimiter": "\t", "label_columns": ["0", 2]}, [[2]], [[1, 3]]),
        ("a,b\n1,2\n", {"label_columns": []}, [[1, 2]], [[]]),
        ("a,Label\r\n\r\n1,0.5\r\n\r\n2,-1\r\n", {}, [[1], [2]], [[0.5], [-1]]),
        ('\ufeff"a, x","label"\n"1","0"\n 2 , 1 \n', {}, [[1], [2]], [[0], [1]]),
        ("label,a\n-3,1\n5,2\n", {"labels": "values"}, [[1], [2]], [[-3], [5]]),
        ("label,a\nwolf,1\nant,2\n", {}, [[1], [2]], [[1], [0]]),
        ("label,a\n7up,1\n5,2\n", {"labels": "classes"}, [[1], [2]], [[1], [0]]),
        ("label,a\n10,1\n9,2\n", {"labels": "classes"}, [[1], [2]], [[10], [9]]),
        ("label,1\n0,5\n", {"label_columns": ["label"]}, [[5]], [[0]]),
        ("2,1\n0,5\n", {"label_columns": ["1"]}, [[0]], [[5]]),  # a name before a number
    ],
)  # fmt: skip
def test_forms(tmp_path, text, options, data, label):
    (tmp_path / "t.csv").write_bytes(text.encode())
    convert_csv(tmp_path / "t.csv", tmp_path / "out", shuffle=False, **options)
    found = written(tmp_path / "out")
    assert found[0].tolist() == data
    assert found[1].tolist() == label


def test_a_column_of_splits(tmp_path):
    (tmp_path / "t.csv").write_text("x,part,label\n1,TRAIN,0\n2,test,1\n3,train,1\n4,extra,0\n")
    done = convert_csv(tmp_path / "t.csv", tmp_path / "out", split_column="part", shuffle=False)
    assert done.samples == {"train": 2, "test": 1, "extra": 1}
    assert written(tmp_path / "out")[0].tolist() == [[1], [3]]
    assert written(tmp_path / "out", "extra")[0].tolist() == [[4]]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "the file is empty"),
        ("\n\n", {}, "the file is empty"),
        ("label,a\n", {}, "only a header"),
        ("a,b\n1,2\n", {}, "no column is called 'label'"),
        ("label,a\n1,2\n", {"label_columns": ["lable"]}, "no column 'lable'. Did you mean 'label'"),
        ("1,2\n", {"header": False, "label_columns": ["x"]}, "Without a header, give a number from 0 to 1"),
        ("label,a\n1,2\n", {"label_columns": [2]}, "no column 2; there are 2"),
        ("label,a\n1,2\n", {"label_columns": ["label", 0]}, "chosen twice"),
        ("label\n1\n", {}, "none is left for the data"),
        ("a,a,label\n1,2,0\n", {"label_columns": ["a"]}, "2 columns are called 'a'"),
        ("label,a\n1,2\n\n3\n", {}, r"t.csv, line 4: 1 fields; expected 2"),
        ("label,a\n1,2\n3,4,5\n", {}, "line 3: 3 fields"),
        ('label,a\n1,"2\n', {}, "line 2: damaged CSV"),
        ("label\ta\tb\n1\t2\t3\n\t\t\n", {"delimiter": "\t"}, "line 3: the label is ''"),
        ("label,a\n1e39,2\n", {"labels": "values"}, "line 2: the label is '1e39'.*float32"),
        ("label,a\n1,2\n", {"scale": 0}, "scale is 0; expected a finite number other than 0"),
        ("Label,LABEL\n1,2\n", {}, "2 columns are called 'label'"),
        ("label,a\n1,x\n", {}, "line 2: 'x' in column 'a'; expected a number"),
        ("label,a\n1,\n", {}, "line 2: '' in column 'a'"),
        ("label,a\n1,2\n2,nan\n", {}, "line 3: 'nan' in column 'a'; expected a finite"),
        ("label,a\n1,2\n2,1e39\n", {}, "line 3: '1e39'"),
        ("label,a\nnan,2\n", {}, "line 2: the label is 'nan'"),
        ("label,a\n1,2\n-1,2\n", {}, "line 3: the label is '-1'.*'values'"),
        ("label,a\n1,2\n", {"shape": (2, 2)}, "1 columns are data, but shape .* has 4"),
        ("label,a\n1,2\n", {"shape": ()}, "shape is"),
        ("label,a\n1,2\n", {"shape": (-1, -1)}, "shape is"),
        ("label,a\n1,2\n", {"delimiter": "ab"}, "delimiter is 'ab'"),
        ("label,a\n1,2\n", {"scale": float("nan")}, "scale is nan"),
        ("label,a\n1,2\n", {"test_share": 0.5}, "a share of 0.5 of 1 samples"),
        ("label,a,s\n1,2,x/y\n", {"split_column": "s"}, "the split is 'x/y'"),
        ("label,a\n\xe9,2\n", {}, "line 2"),
    ],
)
def test_bad_tables(tmp_path, text, options, message):
    (tmp_path / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises((ConfigError, FormatError), match=message):
        convert_csv(tmp_path / "t.csv", tmp_path / "out", **options)
    assert not list((tmp_path / "out").glob("*"))


def test_other_files(tmp_path, monkeypatch):
    with pytest.raises(FormatError, match="no such file"):
        convert_csv(tmp_path / "none.csv", tmp_path / "out")
    (tmp_path / "long.csv").write_bytes(b"1" * 100)
    monkeypatch.setattr(table_rows, "_LONGEST", 50)
    with pytest.raises(FormatError, match="longer than 50 bytes"):
        convert_csv(tmp_path / "long.csv", tmp_path / "out", label_columns=[])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=60), st.text('01,."\n\r-e x\0', max_size=40).map(str.encode)), st.booleans())
def test_hostile_bytes(tmp_path_factory, raw, header):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "t.csv").write_bytes(raw)
    try:
        done = convert_csv(folder / "t.csv", folder / "out", header=header, label_columns=[0])
    except MochaError:
        assert not list(folder.glob("out/train-data-list.txt"))
    else:
        assert written(folder / "out")[0].shape[0] == done.samples["train"] > 0


def test_memory_does_not_grow_with_the_table(tmp_path):
    tracemalloc = pytest.importorskip("tracemalloc")
    with (tmp_path / "t.csv").open("w") as file:
        file.write("label," + ",".join(f"p{i}" for i in range(400)) + "\n")
        for number in range(10000):
            file.write(f"{number % 7}" + ",123" * 400 + "\n")
    assert (tmp_path / "t.csv").stat().st_size > 16e6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_rows, "_AT_ONCE", 400 * 100)
        tracemalloc.start()
        try:
            convert_csv(tmp_path / "t.csv", tmp_path / "out")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 6e6  # bytes; the data are 16 MB as float32
