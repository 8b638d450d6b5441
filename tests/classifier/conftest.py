from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mocha import DefaultBackend, InnerProductLayer, MemoryDataLayer, Net, SoftmaxLayer

pytest.importorskip("PIL", reason="needs Pillow, of the extra [images]")


def shared_folder():
    """The folder with models and photos, or None."""
    place = Path(os.environ.get("MOCHA_SHARED") or Path(__file__).parents[3] / "shared")
    return place if (place / "caffe").is_dir() else None


@pytest.fixture
def shared():
    place = shared_folder()
    if place is None:
        pytest.skip("needs $MOCHA_SHARED or ../shared with caffe/ in it")
    return place


@pytest.fixture
def backend():
    with DefaultBackend() as made:
        yield made


def colour_layers(shape=(3, 6, 8), *, softmax=False, batch=2):
    """Scores that are the sums of the channels."""
    layers = [
        MemoryDataLayer(data=[np.zeros((batch, *shape), np.float32)], tops=["data"], batch_size=batch),
        InnerProductLayer(name="score", output_dim=shape[0], bottoms=["data"], tops=["score"]),
    ]
    return [*layers, SoftmaxLayer(name="softmax", bottoms=["score"], tops=["prob"])] if softmax else layers


def colour_weights(shape=(3, 6, 8)):
    """Row c adds up the pixels of channel c, as a mean."""
    area = shape[1] * shape[2]
    return np.kron(np.eye(shape[0]), np.full(area, 1 / area)).astype(np.float32)


@pytest.fixture
def colours(backend):
    """A net whose scores are the mean of each channel that it sees, of 6 x 8 pixels in three colours."""
    with Net("colours", backend, colour_layers()) as net:
        net.params["score"]["weight"] = colour_weights()
        yield net
