from __future__ import annotations

import h5py
import numpy as np
import pytest

from mocha.data import DataTransformers, MemorySource, Transformer
from mocha.errors import ConfigError, FormatError, ShapeError

DATA = np.arange(24, dtype=np.float32).reshape(4, 2, 3)


def source(*transformers, **options):
    return MemorySource([DATA], ["data"], 4, transformers=[("data", t) for t in transformers], **options)


def write_mean(path, mean, name="mean"):
    with h5py.File(path, "w") as file:
        file[name] = mean
    return path


def test_scale_then_mean_in_order():
    made = source(DataTransformers.Scale(scale=2), DataTransformers.SubMean(mean_blob=np.ones((2, 3))))
    batch = made.batch(0)["data"]
    np.testing.assert_array_equal(batch, 2 * DATA - 1)
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(DATA, np.arange(24).reshape(4, 2, 3))  # the owner's array is untouched
    assert DataTransformers.Scale().scale == 1.0


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_mean_file(tmp_path, shape, dtype):
    mean = np.arange(6).reshape(shape).astype(dtype)
    transformer = DataTransformers.SubMean(mean_file=write_mean(tmp_path / "mean.h5", mean))
    made = source(transformer)
    (tmp_path / "mean.h5").unlink()  # loaded once
    np.testing.assert_array_equal(made.batch(1)["data"], DATA - mean.reshape(2, 3))
    np.testing.assert_array_equal(source(transformer, dtype=np.float64).batch(0)["data"], DATA - mean.reshape(2, 3))


def test_mean_blob_is_copied():
    mean = np.ones((2, 3))
    made = source(DataTransformers.SubMean(mean_blob=mean))
    mean[:] = 99
    np.testing.assert_array_equal(made.batch(0)["data"], DATA - 1)


@pytest.mark.parametrize("arguments", [{}, {"mean_file": "x.h5", "mean_blob": np.ones(3)}])
def test_exactly_one_mean(arguments):
    with pytest.raises(ConfigError, match="one of mean_file and mean_blob"):
        DataTransformers.SubMean(**arguments)


def test_wrong_means(tmp_path):
    with pytest.raises(ConfigError, match="U1"):
        DataTransformers.SubMean(mean_blob=np.array(["x"]))
    with pytest.raises(ConfigError, match=r"\(3, 2\).*expected \(2, 3\)"):
        source(DataTransformers.SubMean(mean_blob=np.ones((3, 2))))
    path = write_mean(tmp_path / "a.h5", np.ones((2, 2, 3)))
    with pytest.raises(FormatError, match=r"a\.h5.*\(2, 2, 3\)"):
        source(DataTransformers.SubMean(mean_file=path))
    path = write_mean(tmp_path / "b.h5", np.ones((2, 3)), name="average")
    with pytest.raises(FormatError, match=r"'mean' is not there.*'average'"):
        source(DataTransformers.SubMean(mean_file=path))
    with pytest.raises(FormatError, match="no such file"):
        source(DataTransformers.SubMean(mean_file=tmp_path / "c.h5"))


def test_unknown_top():
    with pytest.raises(ConfigError, match=r"layer 'L'.*'dat'.*Did you mean 'data'"):
        MemorySource([DATA], ["data"], 4, transformers=[("dat", DataTransformers.Scale())], name="L")


class Half(Transformer):
    def __call__(self, batch):
        return batch[:, :1]


class AsDouble(Transformer):
    def __call__(self, batch):
        return batch.astype(np.float64).transpose(0, 2, 1).copy().transpose(0, 2, 1) + 1


def test_own_transformers():
    with pytest.raises(ShapeError, match=r"Half.*\(4, 1, 3\).*expected \(4, 2, 3\)"):
        source(Half()).batch(0)
    batch = source(AsDouble()).batch(0)["data"]
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    np.testing.assert_array_equal(batch, DATA + 1)
