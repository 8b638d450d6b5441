from __future__ import annotations

import h5py
import numpy as np
import pytest

from mocha.data import DataTransformers, HDF5Source, write_mean
from mocha.data.converters import mean as mean_module
from mocha.errors import ConfigError, FormatError


def write(path, data, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=data, **options)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32, np.float64, bool])
@pytest.mark.parametrize("chunks", [None, (3, 2, 2)])
def test_files_in_slices(tmp_path, monkeypatch, dtype, chunks):
    monkeypatch.setattr(mean_module, "_AT_ONCE", 20)
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 2 if dtype is bool else 100, (n, 2, 2)).astype(dtype) for n in (7, 3, 5)]
    names = [write(tmp_path / f"{i}.hdf5", part, chunks=chunks).name for i, part in enumerate(parts)]
    (tmp_path / "list.txt").write_text("\n".join(names))
    mean = write_mean(tmp_path / "list.txt", tmp_path / "mean.hdf5")
    assert (mean.dtype, mean.shape) == (np.float32, (2, 2))
    np.testing.assert_allclose(mean, np.concatenate(parts).astype(float).mean(axis=0), rtol=1e-6)
    source = HDF5Source(
        tmp_path / "list.txt",
        ["data"],
        15,
        transformers=[("data", DataTransformers.SubMean(mean_file=tmp_path / "mean.hdf5"))],
    )
    np.testing.assert_allclose(source.batch(0)["data"].mean(axis=0), 0, atol=1e-4)


def test_whole_numbers_are_added_exactly(tmp_path):
    data = np.full((300_000, 1), 255, np.uint8)
    data[0] = 254
    mean = write_mean(write(tmp_path / "x.hdf5", data), tmp_path / "mean.hdf5")
    assert mean[0] == np.float32((255 * 300_000 - 1) / 300_000)


def test_the_mean_does_not_take_the_place_of_its_data(tmp_path):
    data = write(tmp_path / "x.hdf5", np.ones((2, 3)))
    listing = tmp_path / "list.txt"
    listing.write_text("x.hdf5\n")
    (tmp_path / "link.hdf5").symlink_to(data)
    (tmp_path / "hard.hdf5").hardlink_to(data)
    before = data.read_bytes()
    for source, out in ((data, data), (listing, data), (listing, listing), (data, tmp_path / "link.hdf5"),
                        ([str(data)], tmp_path / "hard.hdf5"), (data, tmp_path / "." / "x.hdf5")):  # fmt: skip
        with pytest.raises(ConfigError, match="it would be lost"):
            write_mean(source, out, overwrite=True)
    assert data.read_bytes() == before
    assert listing.read_text() == "x.hdf5\n"


def test_what_is_refused(tmp_path):
    good = write(tmp_path / "good.hdf5", np.ones((2, 3)))
    out = tmp_path / "mean.hdf5"
    with pytest.raises(FormatError, match=r"bad.hdf5.*shape \(4,\).*good.hdf5"):
        write_mean([good, write(tmp_path / "bad.hdf5", np.ones((2, 4)))], out)
    with pytest.raises(FormatError, match="NaN or infinite"):
        write_mean(write(tmp_path / "nan.hdf5", np.array([[1.0], [np.nan]])), out)
    with pytest.raises(FormatError, match="'label' is not there"):
        write_mean(good, out, dataset="label")
    with h5py.File(tmp_path / "words.hdf5", "w") as file:
        file["data"] = np.array([b"a", b"b"])
    with pytest.raises(FormatError, match="elements of type"):
        write_mean(tmp_path / "words.hdf5", out)
    with h5py.File(tmp_path / "bomb.hdf5", "w") as file:
        file.create_dataset("data", (10, 1 << 40), "f4", chunks=(1, 1 << 20), compression="gzip")
    with pytest.raises(FormatError, match="claims"):
        write_mean(tmp_path / "bomb.hdf5", out)
    assert not out.exists()
    write_mean(good, out)
    before = out.read_bytes()
    with pytest.raises(ConfigError, match="there already"):
        write_mean(good, out)
    assert out.read_bytes() == before
    write_mean(good, out, overwrite=True)
