from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from click.testing import CliRunner

from mocha.cli import main
from mocha.data.converters.mnist import FILES


@pytest.fixture
def mocha(tmp_path, monkeypatch):
    """Runs a command in an empty folder, with no data set in reach."""
    for name in ("MOCHA_BACKEND", "MOCHA_DATA", "MOCHA_SHARED", "MOCHA_SEED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def run(*words, fails=None):
        """What the command prints; `fails` is the exit status that is expected instead of 0."""
        result = CliRunner().invoke(main, [str(word) for word in words])
        if fails is None:
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            assert result.exit_code == 0, result.output
        else:
            assert isinstance(result.exception, SystemExit), f"a traceback instead of a message: {result.exception!r}"
            assert result.exit_code == fails, result.output
            assert "Traceback" not in result.output
        return result.output

    return run


@pytest.fixture
def digits(tmp_path):
    """A folder with four small files in MNIST's format: 128 digits to train, 100 to test."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "digits"
    folder.mkdir()
    for split, n in (("train", 128), ("test", 100)):
        labels = np.arange(n) % 10
        images = np.zeros((n, 28, 28), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 6, 4:24] = 255
            image += rng.integers(0, 2, (28, 28)).astype(np.uint8) * (255 - image)
        for part, array in ((f"{split}_images", images), (f"{split}_labels", labels)):
            head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{FILES[part]}.gz").write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))
    return folder
