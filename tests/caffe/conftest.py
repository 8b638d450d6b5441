from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def shared_folder():
    """The folder with Caffe's nets, models and solvers, or None."""
    place = Path(os.environ.get("MOCHA_SHARED") or ROOT.parent / "shared") / "caffe"
    return place if place.is_dir() else None


@pytest.fixture
def shared():
    place = shared_folder()
    if place is None:
        pytest.skip("needs $MOCHA_SHARED or ../shared with caffe/ in it")
    return place
