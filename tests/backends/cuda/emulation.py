"""What the tests of the CUDA backend share: a device without a GPU."""

import os
import shutil

import pytest

from mocha.backends import CudaBackend, Numerics
from mocha.backends.cuda.emulated import EmulatedDevice

NEEDS_COMPILER = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="emulating a GPU takes g++, which is not there"
)

EXACT = Numerics("float32", deterministic=True)


def emulated(numerics=EXACT, *, backwards=False, memory=None, **options):
    """A CUDA backend on an emulated device."""
    return CudaBackend(EmulatedDevice(backwards=backwards, memory=memory), numerics=numerics, **options)
